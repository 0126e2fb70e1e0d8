;; Grows its table until that fails, and then reports its size as a trap.
(module
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (table $t 1 funcref)
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32)
    (loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) (i32.gt_u (table.size $t) (i32.const 65536)) (if (then (unreachable))) (i32.const -6))
)
