;; Imports a function of a later minor version.
(module
  (import "xai1" "train" (func $train (param i32 i32) (result i64)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0))
)
