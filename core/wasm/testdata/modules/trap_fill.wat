;; Fills two megabytes of which the last byte is outside of memory.
(module
  (memory (export "memory") 128)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param i32 i32) (result i32)
    (memory.fill (i32.const 6291457) (i32.const 1) (i32.const 2097152))
    (i32.const 0))
)
