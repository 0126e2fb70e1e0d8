;; Reads from standard input into buffers of no bytes, millions of them a call, for ever.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1024)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param i32 i32) (result i32)
    (loop $l (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 0x7ffffe) (i32.const 0x3fffff8))) (br $l))
    (i32.const -1))
)
