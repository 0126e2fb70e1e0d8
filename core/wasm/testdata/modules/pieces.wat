;; Fills and copies more memory than goes in one piece, and returns -1 where every
;; byte is as it should be, otherwise the number of the check that failed.
(module
  (memory (export "memory") 128)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  ;; $pattern writes n bytes whose values depend on where they are.
  (func $pattern (param $at i32) (param $n i32) (local $i i32)
    (loop $l
      (i32.store (i32.add (local.get $at) (local.get $i)) (i32.mul (local.get $i) (i32.const 2654435761)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $n)))))
  ;; $is compares n bytes with that pattern, from byte $from of it on.
  (func $is (param $at i32) (param $from i32) (param $n i32) (result i32) (local $i i32)
    (loop $l
      (if (i32.ne
            (i32.load (i32.add (local.get $at) (local.get $i)))
            (i32.mul (i32.add (local.get $i) (local.get $from)) (i32.const 2654435761)))
        (then (return (i32.const 0))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $n))))
    (i32.const 1))
  ;; $filled reports whether n bytes are all v.
  (func $filled (param $at i32) (param $v i32) (param $n i32) (result i32) (local $i i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
    (loop $l
      (if (i32.ne (i32.load8_u (i32.add (local.get $at) (local.get $i))) (local.get $v)) (then (return (i32.const 0))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (i32.const 1))
  ;; $fill fills n bytes, and looks at them and at their neighbours.
  (func $fill (param $n i32) (result i32)
    (memory.fill (i32.const 0) (i32.const 0) (i32.const 4194304))
    (memory.fill (i32.const 1001) (i32.const 0x107) (local.get $n))
    (i32.and
      (i32.and
        (call $filled (i32.const 0) (i32.const 0) (i32.const 1001))
        (call $filled (i32.const 1001) (i32.const 7) (local.get $n)))
      (call $filled (i32.add (i32.const 1001) (local.get $n)) (i32.const 0) (i32.const 1000))))
  ;; $copy copies n bytes by d, up or down, and looks at what is there.
  (func $copy (param $n i32) (param $d i32) (result i32)
    (call $pattern (i32.const 1048576) (local.get $n))
    (memory.copy (i32.add (i32.const 1048576) (local.get $d)) (i32.const 1048576) (local.get $n))
    (call $is (i32.add (i32.const 1048576) (local.get $d)) (i32.const 0) (local.get $n)))
  (func (export "xai_explain") (param i32 i32) (result i32)
    (if (i32.eqz (call $fill (i32.const 0))) (then (return (i32.const 1))))
    (if (i32.eqz (call $fill (i32.const 1))) (then (return (i32.const 2))))
    (if (i32.eqz (call $fill (i32.const 1048575))) (then (return (i32.const 3))))
    (if (i32.eqz (call $fill (i32.const 1048576))) (then (return (i32.const 4))))
    (if (i32.eqz (call $fill (i32.const 1048577))) (then (return (i32.const 5))))
    (if (i32.eqz (call $fill (i32.const 3145728))) (then (return (i32.const 6))))
    (if (i32.eqz (call $copy (i32.const 1048576) (i32.const 4))) (then (return (i32.const 11))))
    (if (i32.eqz (call $copy (i32.const 1048580) (i32.const 4))) (then (return (i32.const 12))))
    (if (i32.eqz (call $copy (i32.const 3145728) (i32.const 4))) (then (return (i32.const 13))))
    (if (i32.eqz (call $copy (i32.const 3145728) (i32.const 1048576))) (then (return (i32.const 14))))
    (if (i32.eqz (call $copy (i32.const 3000000) (i32.const 1048572))) (then (return (i32.const 15))))
    (if (i32.eqz (call $copy (i32.const 3145728) (i32.const -4))) (then (return (i32.const 16))))
    (if (i32.eqz (call $copy (i32.const 3145732) (i32.const -1048576))) (then (return (i32.const 17))))
    (if (i32.eqz (call $copy (i32.const 3145728) (i32.const 0))) (then (return (i32.const 18))))
    (if (i32.eqz (call $copy (i32.const 3145728) (i32.const 3145728))) (then (return (i32.const 19))))
    ;; up to the end of memory
    (memory.fill (i32.const 6291456) (i32.const 9) (i32.const 2097152))
    (if (i32.eqz (call $filled (i32.const 6291456) (i32.const 9) (i32.const 2097152))) (then (return (i32.const 21))))
    (memory.copy (i32.const 6291455) (i32.const 6291456) (i32.const 2097152))
    (if (i32.eqz (call $filled (i32.const 6291455) (i32.const 9) (i32.const 2097153))) (then (return (i32.const 22))))
    (memory.fill (i32.const 8388608) (i32.const 9) (i32.const 0))
    (i32.const -1))
)
