;; Makes a tensor of 2^60 elements, and returns the error.
(module
  (import "xai1" "tensor_new" (func $tensor_new (param i32 i32 i32) (result i64)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "\00\00\00\00\00\00\00\10")
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32)
    (i32.wrap_i64 (call $tensor_new (i32.const 0) (i32.const 1) (i32.const 0))))
)
