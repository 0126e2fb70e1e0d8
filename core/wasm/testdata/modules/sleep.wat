;; Sleeps for a minute, and returns what it got.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32)
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 60000000000))
    (i32.sub (i32.const -1) (call $poll_oneoff (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256))))
)
