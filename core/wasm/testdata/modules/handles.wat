;; Uses handles after their end, twice, and those of one kind for another, and returns
;; -1 where the host refuses all of it, otherwise the number of the check that failed.
(module
  (import "xai1" "tensor_new" (func $new (param i32 i32 i32) (result i64)))
  (import "xai1" "tensor_info" (func $info (param i64 i32 i32) (result i32)))
  (import "xai1" "tensor_read" (func $read (param i64 i64 i32 i32) (result i32)))
  (import "xai1" "tensor_read_strided" (func $strided (param i64 i32 i32 i32 i32) (result i32)))
  (import "xai1" "tensor_write" (func $write (param i64 i64 i32 i32) (result i32)))
  (import "xai1" "tensor_free" (func $free (param i64) (result i32)))
  (import "xai1" "forward" (func $forward (param i32 i32) (result i64)))
  (import "xai1" "reply_get" (func $get (param i64 i32 i32 i32) (result i64)))
  (import "xai1" "op" (func $op (param i32 i32 i32) (result i64)))
  (import "xai1" "result" (func $result (param i32 i32 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "\01\00\00\00\00\00\00\00\03\00\00\00\00\00\00\00") ;; 1, 3
  (data (i32.const 16) "target")
  (data (i32.const 32) "\01\00\01\00\08\00\00\00") ;; units: the handle at 40
  (data (i32.const 64) "\01\00\01\00\08\00\00\00") ;; operands: the handle at 72
  (data (i32.const 80) "x")
  ;; $refused reports whether every function refuses a handle of no tensor, with EHANDLE
  (func $refused (param $h i64) (result i32)
    (i64.store (i32.const 40) (local.get $h))
    (i64.store (i32.const 72) (local.get $h))
    (i32.and (i32.and (i32.and
      (i32.eq (call $info (local.get $h) (i32.const 512) (i32.const 100)) (i32.const -2))
      (i32.eq (call $read (local.get $h) (i64.const 0) (i32.const 512) (i32.const 1)) (i32.const -2)))
      (i32.and
      (i32.eq (call $write (local.get $h) (i64.const 0) (i32.const 512) (i32.const 1)) (i32.const -2))
      (i32.eq (call $strided (local.get $h) (i32.const 512) (i32.const 0) (i32.const 512) (i32.const 1)) (i32.const -2))))
      (i32.and (i32.and
      (i64.eq (call $forward (i32.const 32) (i32.const 16)) (i64.const -2))
      (i64.eq (call $op (i32.const 5) (i32.const 64) (i32.const 16)) (i64.const -2)))
      (i32.eq (call $result (i32.const 80) (i32.const 1) (local.get $h) (i32.const 512) (i32.const 0)) (i32.const -2)))))
  (func (export "xai_explain") (param i32 i32) (result i32) (local $t i64) (local $r i64) (local $o i64)
    (local.set $t (call $new (i32.const 0) (i32.const 2) (i32.const 0)))
    (i64.store (i32.const 40) (local.get $t))
    (local.set $r (call $forward (i32.const 32) (i32.const 16)))
    (local.set $o (call $get (local.get $r) (i32.const 16) (i32.const 6) (i32.const 0)))
    (if (i32.or (i64.le_s (local.get $r) (i64.const 0)) (i64.le_s (local.get $o) (i64.const 0))) (then (return (i32.const 1))))
    (if (i32.eqz (call $refused (local.get $r))) (then (return (i32.const 2)))) ;; a reply is no tensor
    (if (i64.ne (call $get (local.get $t) (i32.const 16) (i32.const 6) (i32.const 0)) (i64.const -2)) (then (return (i32.const 3))))
    (if (i32.ne (call $write (local.get $o) (i64.const 0) (i32.const 512) (i32.const 1)) (i32.const -1)) (then (return (i32.const 4)))) ;; it is the host's
    (if (call $free (local.get $r)) (then (return (i32.const 5))))
    (if (i32.ne (call $free (local.get $r)) (i32.const -2)) (then (return (i32.const 6))))
    (if (i64.ne (call $get (local.get $r) (i32.const 16) (i32.const 6) (i32.const 0)) (i64.const -2)) (then (return (i32.const 7))))
    (if (i32.ne (call $read (local.get $o) (i64.const 0) (i32.const 512) (i32.const 8)) (i32.const 8)) (then (return (i32.const 8)))) ;; which outlives its reply
    (if (call $free (local.get $t)) (then (return (i32.const 9))))
    (if (i32.ne (call $free (local.get $t)) (i32.const -2)) (then (return (i32.const 10))))
    (if (i32.eqz (call $refused (local.get $t))) (then (return (i32.const 11))))
    (if (i32.eqz (call $refused (i64.const 0))) (then (return (i32.const 12))))
    (if (i32.eqz (call $refused (i64.const -1))) (then (return (i32.const 13))))
    (if (i32.eqz (call $refused (i64.const 0x8000000000000000))) (then (return (i32.const 14))))
    (if (i32.eqz (call $refused (i64.const 0x7fffffffffffffff))) (then (return (i32.const 15))))
    (if (i32.eqz (call $refused (i64.add (local.get $o) (i64.const 0x100000000)))) (then (return (i32.const 16)))) ;; no half of it is looked at
    (if (i64.le_s (call $new (i32.const 0) (i32.const 0) (i32.const 0)) (local.get $o)) (then (return (i32.const 17)))) ;; no number comes again
    (i32.const -1)))
