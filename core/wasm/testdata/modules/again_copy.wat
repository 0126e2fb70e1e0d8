;; Copies a tensor that fills the memory, for ever.
(module
  (import "xai1" "tensor_new" (func $tensor_new (param i32 i32 i32) (result i64)))
  (import "xai1" "tensor_read" (func $tensor_read (param i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1024)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param i32 i32) (result i32) (local $h i64)
    (i64.store (i32.const 0) (i64.const 0x4000000))
    (local.set $h (call $tensor_new (i32.const 0) (i32.const 1) (i32.const 0)))
    (loop $l (drop (call $tensor_read (local.get $h) (i64.const 0) (i32.const 0) (i32.const 0x4000000))) (br $l))
    (i32.const -1))
)
