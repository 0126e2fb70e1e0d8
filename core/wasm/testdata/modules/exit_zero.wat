;; Ends itself as if all were well.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32)
    (call $proc_exit (i32.const 0)) (i32.const 0))
)
