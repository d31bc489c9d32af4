;; The update of AdamW over 32-bit floats, four at a time. All ranges begin at multiples of 64 bytes and are whole
;; multiples of it long; what they are longer than their tensors is zero and stays so.
(module
  (memory (export "memory") 0)

  ;; The sum of squares of the floats from byte $at to byte $end.
  (func (export "sumOfSquares") (param $at i32) (param $end i32) (result f64)
    (local $x v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (loop $next
      (local.set $x (v128.load (local.get $at)))
      (local.set $a (f32x4.add (local.get $a) (f32x4.mul (local.get $x) (local.get $x))))
      (local.set $x (v128.load offset=16 (local.get $at)))
      (local.set $b (f32x4.add (local.get $b) (f32x4.mul (local.get $x) (local.get $x))))
      (local.set $x (v128.load offset=32 (local.get $at)))
      (local.set $c (f32x4.add (local.get $c) (f32x4.mul (local.get $x) (local.get $x))))
      (local.set $x (v128.load offset=48 (local.get $at)))
      (local.set $d (f32x4.add (local.get $d) (f32x4.mul (local.get $x) (local.get $x))))
      (local.set $at (i32.add (local.get $at) (i32.const 64)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (local.set $x
      (f32x4.add
        (f32x4.add (local.get $a) (local.get $b))
        (f32x4.add (local.get $c) (local.get $d))))
    (f64.add
      (f64.add
        (f64.promote_f32 (f32x4.extract_lane 0 (local.get $x)))
        (f64.promote_f32 (f32x4.extract_lane 1 (local.get $x))))
      (f64.add
        (f64.promote_f32 (f32x4.extract_lane 2 (local.get $x)))
        (f64.promote_f32 (f32x4.extract_lane 3 (local.get $x))))))

  ;; m = keep1 m + take1 g,  v = keep2 v + (take2 g)^2,  p = shrink p - rate m / (sqrt(v) + epsilon)
  ;; for the gradients g from byte $g to byte $end and the parameters and moments from $p, $m and $v on.
  (func (export "update")
    (param $p i32) (param $m i32) (param $v i32) (param $g i32) (param $end i32)
    (param $keep1 f32) (param $take1 f32) (param $keep2 f32) (param $take2 f32)
    (param $shrink f32) (param $rate f32) (param $epsilon f32)
    (local $x v128) (local $first v128) (local $second v128)
    (local $keep1s v128) (local $take1s v128) (local $keep2s v128) (local $take2s v128)
    (local $shrinks v128) (local $rates v128) (local $epsilons v128)
    (local.set $keep1s (f32x4.splat (local.get $keep1)))
    (local.set $take1s (f32x4.splat (local.get $take1)))
    (local.set $keep2s (f32x4.splat (local.get $keep2)))
    (local.set $take2s (f32x4.splat (local.get $take2)))
    (local.set $shrinks (f32x4.splat (local.get $shrink)))
    (local.set $rates (f32x4.splat (local.get $rate)))
    (local.set $epsilons (f32x4.splat (local.get $epsilon)))
    (loop $next
      (local.set $x (v128.load (local.get $g)))
      (local.set $first
        (f32x4.add
          (f32x4.mul (v128.load (local.get $m)) (local.get $keep1s))
          (f32x4.mul (local.get $x) (local.get $take1s))))
      (local.set $x (f32x4.mul (local.get $x) (local.get $take2s)))
      (local.set $second
        (f32x4.add
          (f32x4.mul (v128.load (local.get $v)) (local.get $keep2s))
          (f32x4.mul (local.get $x) (local.get $x))))
      (v128.store (local.get $m) (local.get $first))
      (v128.store (local.get $v) (local.get $second))
      (v128.store (local.get $p)
        (f32x4.sub
          (f32x4.mul (v128.load (local.get $p)) (local.get $shrinks))
          (f32x4.mul
            (f32x4.div
              (local.get $first)
              (f32x4.add (f32x4.sqrt (local.get $second)) (local.get $epsilons)))
            (local.get $rates))))
      (local.set $p (i32.add (local.get $p) (i32.const 16)))
      (local.set $m (i32.add (local.get $m) (i32.const 16)))
      (local.set $v (i32.add (local.get $v) (i32.const 16)))
      (local.set $g (i32.add (local.get $g) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $g) (local.get $end))))))
