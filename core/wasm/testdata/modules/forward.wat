;; Asks for a forward that is no frame, and returns the error.
(module
  (import "xai1" "forward" (func $forward (param i32 i32) (result i64)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32)
    (i32.wrap_i64 (call $forward (i32.const 0) (i32.const 6))))
)
