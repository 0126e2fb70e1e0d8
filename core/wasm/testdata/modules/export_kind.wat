;; Exports a memory as xai_explain.
(module
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (export "xai_explain" (memory 0))
)
