;; Reads a tensor of 1 MiB and writes it back a hundred times, and returns -1.
(module
  (import "xai1" "tensor_new" (func $tensor_new (param i32 i32 i32) (result i64)))
  (import "xai1" "tensor_read" (func $tensor_read (param i64 i64 i32 i32) (result i32)))
  (import "xai1" "tensor_write" (func $tensor_write (param i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 18)
  (data (i32.const 0) "\00\00\10\00\00\00\00\00")
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32) (local $h i64)
    (local.set $h (call $tensor_new (i32.const 0) (i32.const 1) (i32.const 0)))
    (local.set $ptr (i32.const 100))
    (loop $l
      (drop (call $tensor_read (local.get $h) (i64.const 0) (i32.const 65536) (i32.const 1048576)))
      (drop (call $tensor_write (local.get $h) (i64.const 0) (i32.const 65536) (i32.const 1048576)))
      (br_if $l (local.tee $ptr (i32.sub (local.get $ptr) (i32.const 1)))))
    (i32.const -1)))
