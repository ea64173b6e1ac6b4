// Package roomwire is a client of roomwire.v1, written from PROTOCOL.md alone.
//
// One mutex guards everything. Frames are handled in their order by the goroutine that reads the connection; what the
// application is told goes through one queue, in order, outside the mutex. Callbacks may use the client, but must not
// wait for answers for long: the queue is bounded, and a full one stops the reading.
package roomwire

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"
)

// Status is what the application is told of the connection.
type Status string

const (
	Live    Status = "live"
	Offline Status = "offline" // and trying again
	Refused Status = "refused" // ended for good
)

// Options of a client. Callbacks that are nil are not called.
type Options struct {
	URL     string
	Token   func() (string, error) // asked before each HELLO and AUTH; nil: no token
	Agent   string
	Grace   time.Duration // 0: the server's
	Backoff time.Duration // the base of RW-CLO-4; 0: 500 ms

	OnStatus  func(status Status, code int) // code: of the close that ended the connection, 0 for Live
	OnEvent   func(topic, event string, data any, offset int64, from string)
	OnReset   func(topic string) // events were missed
	OnRemoved func(topic string, code int)
}

const (
	welcomeWithin = 15 * time.Second
	pongWithin    = 10 * time.Second
	settledAfter  = 5 * time.Second
	mostRefusals  = 5
)

type state int

const (
	waiting state = iota
	connecting
	live
	closed
)

// Client is one session, over as many connections as it takes.
type Client struct {
	options  Options
	instance string
	tell     *teller

	mu       sync.Mutex
	state    state
	conn     *connection // the newest attempt, once its socket is open
	attempt  int         // numbers attempts: what an older one reports is ignored
	ended    int         // n of RW-CLO-1: ends and failed attempts in a row
	refusals int         // of tokens, in a row
	failed   bool        // an attempt failed since the client was last settled (RW-SES-5)

	ticket    []any // [sid, secret]
	limits    map[string]any
	pingEvery time.Duration
	skew      int64     // ms: store time less own time
	answered  time.Time // when the newest request was sent of those that were answered (RW-LCK-7)

	lastID   int64
	requests map[int64]*request // sent, without an answer yet
	queue    []*request         // to be sent, in order
	topics   map[string]*topic
	handlers map[string]func(data any) (any, error)
	locks    map[*Lock]struct{}
}

// Connect begins to connect, and goes on trying until Close or a final refusal.
func Connect(options Options) *Client {
	if options.Backoff == 0 {
		options.Backoff = 500 * time.Millisecond
	}
	c := &Client{
		options:  options,
		instance: random(),
		tell:     newTeller(),
		limits:   map[string]any{},
		requests: map[int64]*request{},
		topics:   map[string]*topic{},
		handlers: map[string]func(any) (any, error){},
		locks:    map[*Lock]struct{}{},
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connect()
	return c
}

// Handle answers the server's calls of a name (RW-CAL-8).
func (c *Client) Handle(name string, handler func(data any) (any, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handlers[name] = handler
}

// Close ends the session now, with BYE: locks are free and others see the user leave.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == closed {
		return
	}
	if k := c.conn; k != nil {
		if c.state == live {
			c.write([]any{opBye})
		}
		// The server closes when it has read BYE; a socket that is closed sooner may take BYE with it.
		time.AfterFunc(time.Second, func() { k.close(closeNormal) })
	}
	c.stop(disconnected())
}

// stop ends everything for good.
func (c *Client) stop(reason *Error) {
	c.state = closed
	c.conn = nil
	c.attempt++
	for lock := range c.locks {
		lock.lose()
	}
	for _, request := range append(c.unanswered(), c.queue...) {
		request.finish(nil, reason)
	}
	c.queue = nil
	for _, topic := range c.topics {
		topic.end(0, reason)
	}
}

// Sid is the public name of the session.
func (c *Client) Sid() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return text(at(c.ticket, 0))
}

func (c *Client) limit(name string, otherwise int64) int64 {
	if n, ok := integer(c.limits[name]); ok {
		return n
	}
	return otherwise
}

// after runs f under the mutex once the time is over, unless the client was closed.
func (c *Client) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.state != closed {
			f()
		}
	})
}

// whileOn is after for what concerns one connection alone.
func (c *Client) whileOn(k *connection, d time.Duration, f func()) *time.Timer {
	return c.after(d, func() {
		if c.conn == k {
			f()
		}
	})
}

func random() string {
	b := make([]byte, 8)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	return hex.EncodeToString(b)
}

// teller calls what the application gave, one call after another.
type teller struct {
	mu    sync.Mutex
	room  *sync.Cond
	calls []func()
	runs  bool
}

const mostUntold = 10_000

func newTeller() *teller {
	t := &teller{}
	t.room = sync.NewCond(&t.mu)
	return t
}

func (t *teller) add(call func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, call)
	if !t.runs {
		t.runs = true
		go t.run()
	}
}

// waitForRoom holds the reader back while the application is too slow.
func (t *teller) waitForRoom() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.calls) > mostUntold {
		t.room.Wait()
	}
}

func (t *teller) run() {
	for {
		t.mu.Lock()
		calls := t.calls
		t.calls = nil
		t.runs = len(calls) > 0
		t.room.Broadcast()
		t.mu.Unlock()
		if len(calls) == 0 {
			return
		}
		for _, call := range calls {
			call()
		}
	}
}
