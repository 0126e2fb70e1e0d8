;; Has the host write to a pointer outside its memory, and returns what it got.
(module
  (import "xai1" "input_get" (func $input_get (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32)
    (call $input_get (i32.const 1) (i32.const -16) (i32.const 64)))
)
