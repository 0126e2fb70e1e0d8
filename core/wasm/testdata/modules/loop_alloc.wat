;; Loops for ever in xai_alloc.
(module
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (loop $l (br $l)) (i32.const 0))
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0))
)
