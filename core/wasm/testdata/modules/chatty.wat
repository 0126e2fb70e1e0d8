;; Logs lines of control characters for ever, and writes to its standard error.
(module
  (import "xai1" "log" (func $log (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "\10\00\00\00\0c\00\00\00")
  (data (i32.const 16) "one\ntwo\1b[2J\n")
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32)
    (local.set $ptr (i32.const 100000))
    (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 64)))
    (loop $l
      (drop (call $log (i32.const 2) (i32.const 16) (i32.const 12)))
      (br_if $l (local.tee $ptr (i32.sub (local.get $ptr) (i32.const 1)))))
    (i32.const -1))
)
