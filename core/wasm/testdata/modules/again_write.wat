;; Writes buffers of no bytes to standard output, millions of them a call, for ever.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1024)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param i32 i32) (result i32)
    (loop $l (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0x7ffffe) (i32.const 0x3fffff8))) (br $l))
    (i32.const -1))
)
