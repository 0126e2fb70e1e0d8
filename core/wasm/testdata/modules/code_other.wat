;; Says a message for one code and returns another.
(module
  (import "xai1" "error" (func $error (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "not this")
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32)
    (drop (call $error (i32.const -1) (i32.const 0) (i32.const 8))) (i32.const -5))
)
