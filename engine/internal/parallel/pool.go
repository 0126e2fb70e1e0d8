// Package parallel runs the items of a loop on a fixed set of workers that
// live as long as a model does. A goroutine started per loop often shares the
// core of its creator for the whole of a short loop; a worker that has only
// just finished one loop is still spinning when the next begins.
package parallel

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
)

// Pool is a set of workers. It is safe for concurrent use, and loops may be
// nested. The zero value is not usable: call [New].
type Pool struct {
	threads int

	// loops counts the calls of For that wanted workers, so that an idle
	// worker can see the next one without taking the lock.
	loops atomic.Uint64

	mu     sync.Mutex
	idle   sync.Cond // signalled when open grows, and when the pool closes
	open   []*loop   // loops that may still have items to hand out
	closed bool
}

// loop is one call of For.
type loop struct {
	body func(worker, i int)
	n    int64
	done <-chan struct{} // of the context; nil if it cannot be cancelled

	next    atomic.Int64 // the next item to hand out
	joined  atomic.Int64 // workers inside, the caller not counted; grows under Pool.mu
	left    chan struct{}
	stopped atomic.Bool // by the context
	panic   atomic.Pointer[Panic]
}

// Panic is what [Pool.For] panics with where its body has panicked.
type Panic struct {
	Value any    // what the body panicked with
	Stack []byte // of the goroutine that panicked
}

func (p *Panic) Error() string { return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack) }

// Unwrap returns the value that the body panicked with if it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// New returns a pool that runs loops on threads goroutines, the caller of For
// among them; threads ≤ 0 means GOMAXPROCS. Call Close to end its workers.
func New(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads}
	p.idle.L = &p.mu
	for worker := 1; worker < threads; worker++ {
		go p.work(worker)
	}
	return p
}

// Threads returns the number of goroutines that a loop runs on, the caller
// among them.
func (p *Pool) Threads() int { return p.threads }

// Close ends the workers once they have finished the items they are running.
// Loops in progress and later ones run on their callers alone.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.open = nil
	p.mu.Unlock()
	p.loops.Add(1)
	p.idle.Broadcast()
}

// For calls body(worker, i) once for each i in [0, n), in no particular order,
// and returns when all calls have returned. worker is in [0, Threads()), and no
// two calls of one loop run at the same time with the same worker, so that it
// can index working memory that belongs to this loop; the caller is worker 0.
//
// Once ctx is cancelled no further item is begun, and For returns ctx.Err() if
// items were left out. If body panics no further item is begun, and For panics
// with a [*Panic] in the caller's goroutine. body must not call runtime.Goexit.
func (p *Pool) For(ctx context.Context, n int, body func(worker, i int)) error {
	l := &loop{body: body, n: int64(n), done: ctx.Done()}
	if n > 1 && p.threads > 1 {
		l.left = make(chan struct{}, 1)
		p.publish(l)
		l.run(0)
		p.retire(l)
	} else {
		l.run(0)
	}
	if failure := l.panic.Load(); failure != nil {
		panic(failure)
	}
	if l.stopped.Load() {
		return ctx.Err()
	}
	return nil
}

// publish offers l to the workers.
func (p *Pool) publish(l *loop) {
	p.mu.Lock()
	if !p.closed {
		p.open = append(p.open, l)
	}
	p.mu.Unlock()
	p.loops.Add(1)
	p.idle.Broadcast()
}

// retire withdraws l and waits for the workers inside it.
func (p *Pool) retire(l *loop) {
	p.mu.Lock()
	p.withdraw(l)
	p.mu.Unlock()
	if !spin(func() bool { return l.joined.Load() == 0 }) {
		for l.joined.Load() != 0 {
			<-l.left
		}
	}
}

// withdraw closes l to further workers. It is called with p.mu held.
func (p *Pool) withdraw(l *loop) {
	if i := slices.Index(p.open, l); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
	}
}

// work joins loops until the pool closes.
func (p *Pool) work(worker int) {
	for {
		seen := p.loops.Load()
		l := p.join()
		if l == nil {
			spin(func() bool { return p.loops.Load() != seen })
			if l = p.await(); l == nil {
				return
			}
		}
		l.run(worker)
		p.leave(l)
	}
}

// join enters the newest open loop, which in a nest is the innermost, or
// returns nil if there is none.
func (p *Pool) join() *loop {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newest()
}

// await is join, but waits for a loop; it returns nil when the pool is closed.
func (p *Pool) await() *loop {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.open) == 0 && !p.closed {
		p.idle.Wait()
	}
	return p.newest()
}

// newest enters the newest open loop. It is called with p.mu held.
func (p *Pool) newest() *loop {
	if len(p.open) == 0 {
		return nil
	}
	l := p.open[len(p.open)-1]
	l.joined.Add(1)
	return l
}

// leave ends a worker's part in l, which has no items left.
func (p *Pool) leave(l *loop) {
	p.mu.Lock()
	p.withdraw(l)
	p.mu.Unlock()
	if l.joined.Add(-1) == 0 {
		select {
		case l.left <- struct{}{}:
		default:
		}
	}
}

// run calls the body on items until none is left to hand out.
func (l *loop) run(worker int) {
	defer func() {
		if value := recover(); value != nil {
			l.panic.CompareAndSwap(nil, &Panic{Value: value, Stack: debug.Stack()})
			l.next.Store(l.n)
		}
	}()
	for {
		i := l.next.Add(1) - 1
		if i >= l.n {
			return
		}
		select {
		case <-l.done:
			l.stopped.Store(true)
			l.next.Store(l.n)
			return
		default:
		}
		l.body(worker, int(i))
	}
}

// spin polls ready for some tens of microseconds, the length of the gaps
// between the loops of a forward pass, and reports whether it came true.
// Longer would rob other processes of the core, shorter would pay for parking
// and waking at every loop.
func spin(ready func() bool) bool {
	for range 100 {
		for range 50 {
			if ready() {
				return true
			}
		}
		runtime.Gosched()
	}
	return false
}
