;; Has the host sort as many random numbers as the handles allow.
(module
  (import "xai1" "tensor_new" (func $new (param i32 i32 i32) (result i64)))
  (import "xai1" "tensor_write" (func $write (param i64 i64 i32 i32) (result i32)))
  (import "xai1" "rng_fill" (func $rng (param i32 i32) (result i32)))
  (import "xai1" "op" (func $op (param i32 i32 i32) (result i64)))
  (memory (export "memory") 512)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "\00\00\00\01\00\00\00\00") ;; 2^24
  (data (i32.const 64) "\01\00\01\00\08\00\00\00")
  (data (i32.const 80) "\02\00\01\00\08\00\00\00\00\00\00\00\00\00\70\41") ;; 2^24
  (func (export "xai_explain") (param i32 i32) (result i32) (local $i i64)
    (i64.store (i32.const 72) (call $new (i32.const 4) (i32.const 1) (i32.const 0)))
    (drop (call $rng (i32.const 1024) (i32.const 0x1000000)))
    (loop $l
      (drop (call $write (i64.load (i32.const 72)) (local.get $i) (i32.const 1024) (i32.const 0x1000000)))
      (br_if $l (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 0x1000000))) (i64.const 0x8000000))))
    (i32.wrap_i64 (call $op (i32.const 4) (i32.const 64) (i32.const 32)))))
