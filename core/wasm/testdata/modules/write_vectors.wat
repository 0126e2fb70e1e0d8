;; Writes all of its memory to the standard output, as often as there is room to
;; name it, in one call.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1024)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param i32 i32) (result i32) (local $i i32)
    (loop $l ;; pointers of 0, and lengths of all the memory
      (i64.store (local.get $i) (i64.const 0x400000000000000))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 0x3fffff0))))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0x7ffffe) (i32.const 0x3fffff8)))
    (i32.const -1))
)
