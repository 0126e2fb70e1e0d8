;; Reports progress a million times, and returns -1.
(module
  (import "xai1" "progress" (func $progress (param i64 i64) (result i32)))
  (memory (export "memory") 1)
  (func (export "xai_abi") (result i32) (i32.const 0x10000))
  (func (export "xai_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "xai_explain") (param $ptr i32) (param $len i32) (result i32)
    (local.set $ptr (i32.const 1000000))
    (loop $l
      (drop (call $progress (i64.const 1) (i64.const 2)))
      (br_if $l (local.tee $ptr (i32.sub (local.get $ptr) (i32.const 1)))))
    (i32.const -1)))
