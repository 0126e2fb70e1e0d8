;; Is a module, and no method.
(module
  (func (export "nothing")))
