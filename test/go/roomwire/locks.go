// Locks: a lease that is refreshed at a third of its length, and said to be lost before it may be another's (RW-LCK-7).
package roomwire

import (
	"context"
	"time"
)

const defaultLease = 30 * time.Second

// Lock is a lease on a target in a room. Lost is closed when it is not held any more, unless it was released.
type Lock struct {
	Lost chan struct{}

	client *Client
	room   string
	target string
	token  int64
	ttl    time.Duration
	until  time.Time // by the own clock, counted from before the request was sent
	over   bool
	check  *time.Timer
	next   *time.Timer
}

// LockOptions of Acquire.
type LockOptions struct {
	Target  string        // "": trajectory:meta
	TTL     time.Duration // 0: 30 s
	Wait    time.Duration // in line
	Message string
}

// Acquire takes a lock, waiting in line if asked to. A reconnect on the way does not lose the place.
func (c *Client) Acquire(ctx context.Context, room string, options LockOptions) (*Lock, error) {
	input := map[string]any{"roomId": room}
	lock := &Lock{Lost: make(chan struct{}), client: c, room: room, target: options.Target, ttl: options.TTL}
	if lock.target == "" {
		lock.target = "trajectory:meta"
	}
	input["target"] = lock.target
	if lock.ttl == 0 {
		lock.ttl = defaultLease
	}
	input["ttl"] = lock.ttl.Milliseconds()
	if options.Message != "" {
		input["msg"] = options.Message
	}
	if options.Wait > 0 {
		input["wait"] = options.Wait.Milliseconds()
	}
	data, err := encodeData(input)
	if err != nil {
		return nil, err
	}
	timeout := options.Wait + defaultTimeout // the server's own must not come before the end of the line
	request := c.callRequest("lock:acquire", data, random(), timeout)
	request.session = true
	request.done = func(data any, err *Error) {
		if err != nil {
			return
		}
		lock.token = number(fields(data)["token"])
		if request.unwanted {
			lock.giveBack(func(any, *Error) {})
			return
		}
		lock.granted(request.first.Add(time.Duration(number(fields(data)["waited"])) * time.Millisecond))
	}
	if _, err := c.begin(request, timeout).Wait(ctx); err != nil {
		return nil, err
	}
	return lock, nil
}

// Token goes with each write that the lock guards.
func (l *Lock) Token() int64 { return l.token }

// Release gives the lock back.
func (l *Lock) Release(ctx context.Context) error {
	c := l.client
	answered := make(chan *Error, 1)
	c.mu.Lock()
	l.forget()
	l.giveBack(func(_ any, err *Error) { answered <- err })
	c.mu.Unlock()
	select {
	case err := <-answered:
		if err != nil {
			return err
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Lock) input(more map[string]any) Raw {
	more["roomId"], more["target"], more["token"] = l.room, l.target, l.token
	data, _ := encodeData(more) // it was encoded before, with the same names
	return data
}

func (l *Lock) giveBack(done func(any, *Error)) {
	request := l.client.callRequest("lock:release", l.input(map[string]any{}), random(), defaultTimeout)
	request.session = true
	request.done = done
	l.client.send(request)
}

// granted begins the lease, counted from this moment on.
func (l *Lock) granted(from time.Time) {
	c := l.client
	c.locks[l] = struct{}{}
	length := l.ttl
	if least := time.Duration(c.limit("lockMinMs", 1000)) * time.Millisecond; length < least {
		length = least
	}
	if most := time.Duration(c.limit("lockMaxMs", 600_000)) * time.Millisecond; length > most {
		length = most
	}
	l.until = from.Add(length)
	l.plan(length / 3)
	l.watch()
}

// watch loses the lock when the lease, or the session's grace, may be over.
func (l *Lock) watch() {
	c := l.client
	if l.over {
		return
	}
	end := l.until
	if grace := c.answered.Add(c.grace()); grace.Before(end) {
		end = grace
	}
	if l.check != nil {
		l.check.Stop()
	}
	left := time.Until(end)
	if left <= 0 {
		l.lose()
		return
	}
	if most := c.grace() / 3; left > most {
		left = most
		if c.state == live && time.Since(c.answered) >= most/2 {
			c.ping() // the session has to be heard of, too
		}
	}
	l.check = c.after(left, l.watch)
}

func (l *Lock) plan(d time.Duration) {
	if l.next != nil {
		l.next.Stop()
	}
	l.next = l.client.after(d, l.refresh)
}

func (l *Lock) refresh() {
	c := l.client
	if l.over {
		return
	}
	third := time.Until(l.until) / 3
	if third < 20*time.Millisecond {
		third = 20 * time.Millisecond
	}
	if c.state != live {
		l.plan(third)
		return
	}
	data := l.input(map[string]any{"ttl": l.ttl.Milliseconds()})
	request := c.callRequest("lock:refresh", data, "", defaultTimeout)
	request.done = func(_ any, err *Error) {
		switch {
		case l.over:
		case err == nil:
			l.granted(request.sent)
		case err.Code == codeDisconnected || err.transient():
			l.plan(third)
		default:
			l.lose() // 125, 126, 120, 123: another's, or nobody's
		}
	}
	c.send(request)
}

// changed asks the server whether the lock is still held: events of earlier holders may come late.
func (r *Room) lockChanged(event string, data map[string]any) {
	if event != "lock:update" {
		return
	}
	for lock := range r.topic.client.locks {
		if lock.room == r.id && lock.target == text(data["target"]) &&
			text(fields(data["lock"])["sid"]) != text(at(r.topic.client.ticket, 0)) {
			lock.refresh()
		}
	}
}

func (l *Lock) lose() {
	if !l.over {
		l.forget()
		close(l.Lost)
	}
}

func (l *Lock) forget() {
	l.over = true
	delete(l.client.locks, l)
	for _, timer := range []*time.Timer{l.check, l.next} {
		if timer != nil {
			timer.Stop()
		}
	}
}
