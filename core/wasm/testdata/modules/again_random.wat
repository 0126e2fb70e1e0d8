;; Draws as many random bytes as there is room for, for ever.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 1024)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param i32 i32) (result i32)
    (loop $l (drop (call $random_get (i32.const 0) (i32.const 0x4000000))) (br $l))
    (i32.const -1))
)
