;; Returns results that are strange and allowed: values that are not finite, and names
;; that are long. It asks for names that are not allowed, and returns -1 where one of
;; them is taken.
(module
  (import "xai1" "tensor_new" (func $new (param i32 i32 i32) (result i64)))
  (import "xai1" "tensor_write" (func $write (param i64 i64 i32 i32) (result i32)))
  (import "xai1" "result" (func $result (param i32 i32 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "\03\00\00\00\00\00\00\00")
  (data (i32.const 16) "attributions")
  (data (i32.const 32) "\01\00\01\00\0d\00\00\00\01\00\00\00\05\00\00\00units")
  (data (i32.const 64) "\00\00\00\00\00\00\f8\7f\00\00\00\00\00\00\f0\7f\00\00\00\00\00\00\f0\ff") ;; NaN, and both infinities
  (data (i32.const 100) "\ff\fe")         ;; no UTF-8
  (data (i32.const 104) "a\0ab")          ;; two lines
  (data (i32.const 108) "\e2\80\ae")      ;; from right to left
  (data (i32.const 112) "\00")
  (func $taken (param $p i32) (param $n i32) (param $h i64) (result i32)
    (i32.ne (call $result (local.get $p) (local.get $n) (local.get $h) (i32.const 32) (i32.const 21)) (i32.const -11)))
  (func (export "xai_explain") (param i32 i32) (result i32) (local $h i64)
    (local.set $h (call $new (i32.const 4) (i32.const 1) (i32.const 0)))
    (drop (call $write (local.get $h) (i64.const 0) (i32.const 64) (i32.const 24)))
    (memory.fill (i32.const 4096) (i32.const 0x78) (i32.const 255))
    (if (call $result (i32.const 16) (i32.const 12) (local.get $h) (i32.const 32) (i32.const 21)) (then (return (i32.const -1))))
    (if (call $result (i32.const 4096) (i32.const 255) (local.get $h) (i32.const 32) (i32.const 21)) (then (return (i32.const -1))))
    (i32.sub (i32.const 0) (i32.or
      (i32.or (call $taken (i32.const 100) (i32.const 2) (local.get $h)) (call $taken (i32.const 104) (i32.const 3) (local.get $h)))
      (i32.or (call $taken (i32.const 108) (i32.const 3) (local.get $h)) (i32.or (call $taken (i32.const 112) (i32.const 1) (local.get $h)) (call $taken (i32.const 112) (i32.const 0) (local.get $h))))))))
