;; Recurses sixty thousand times, twice, which is not too deep, and returns -1.
(module
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func $r (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.sub (call $r (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (else (i32.const 0))))
  (func (export "xai_explain") (param i32 i32) (result i32)
    (i32.add
      (call $r (i32.const 60000))
      (i32.sub (i32.const 59999) (i32.mul (call $r (i32.const 60000)) (i32.const 0)))))
)
