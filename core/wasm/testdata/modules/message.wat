;; Says a message with control characters, and returns its code.
(module
  (import "xai1" "error" (func $error (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "red \1b[31m\e2\80\aealert\ff\nnext")
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32)
    (drop (call $error (i32.const -5) (i32.const 0) (i32.const 27))) (i32.const -5))
)
