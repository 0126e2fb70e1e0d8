;; Waits for a million clocks a call, for ever.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1024)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param i32 i32) (result i32)
    (loop $l (drop (call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 1000000) (i32.const 0x3fffff8))) (br $l))
    (i32.const -1))
)
