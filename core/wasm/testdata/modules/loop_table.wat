;; Goes round loops that are jumped to from blocks within, by a table, with values,
;; and in code that is behind what cannot be reached.
(module
  (type $pair (func (param i32 i64) (result i32 i64)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param $n i32) (param i32) (result i32)
    (i32.const 0) (i64.const 0)
    (loop $outer (type $pair)
      (loop $inner (type $pair)
        (block $deep (type $pair)
          (block $deeper (type $pair)
            (i32.and (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1))
            (br_table $inner $outer $inner)
            (unreachable)
            (br $outer))
          (br $inner))))
    (drop)))
