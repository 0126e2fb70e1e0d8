;; Describes itself with what is outside of its memory.
(module
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_describe") (result i64) (i64.const -1))
  (func (export "xai_explain") (param i32 i32) (result i32) (i32.const -1))
)
