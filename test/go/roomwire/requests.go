// Requests and their answers in both directions, and what is repeated over a reconnect.
package roomwire

import (
	"context"
	"sort"
	"time"
)

const defaultTimeout = 10 * time.Second

// request is a frame that is answered once, by ACK or NACK.
type request struct {
	frame    func(id int64) []any
	topic    string // of a PUBLISH: it waits until the subscription is there (RW-SUB-6)
	call     bool   // counts for pendingCalls, and can be cancelled
	keyed    bool   // may be sent again after a reconnect
	session  bool   // of this session alone: not repeated in another (RW-CAL-5)
	unwanted bool   // repeated only to be cancelled (RW-CAL-7)
	id       int64  // 0 while it is in the queue
	sent     time.Time
	first    time.Time // when it was sent first
	finished bool
	done     func(data any, err *Error) // under the mutex
}

func (r *request) finish(data any, err *Error) {
	if !r.finished {
		r.finished = true
		r.done(data, err)
	}
}

// CallOptions of a call or publish. A key makes it safe to repeat: the client does so over a reconnect.
type CallOptions struct {
	Key     string
	Timeout time.Duration // 0: 10 s
}

// Pending is a request on its way.
type Pending struct {
	client   *Client
	request  *request
	answered chan result
	timeout  time.Duration
}

type result struct {
	data any
	err  *Error
}

// Go begins a call of the server's. Calls and publishes are sent in the order in which they were begun.
func (c *Client) Go(name string, data any, options CallOptions) *Pending {
	encoded, err := encodeData(data)
	if err != nil {
		return failed(err)
	}
	timeout := options.timeout()
	return c.begin(c.callRequest(name, encoded, options.Key, timeout), timeout)
}

// Call runs a call of the server's and waits for its answer.
func (c *Client) Call(ctx context.Context, name string, data any, options CallOptions) (any, error) {
	return c.Go(name, data, options).Wait(ctx)
}

func (o CallOptions) timeout() time.Duration {
	if o.Timeout == 0 {
		return defaultTimeout
	}
	return o.Timeout
}

func (c *Client) callRequest(name string, data Raw, key string, timeout time.Duration) *request {
	deadline := time.Now().Add(timeout)
	return &request{call: true, keyed: key != "", frame: func(id int64) []any {
		left := time.Until(deadline).Milliseconds()
		if left < 1 {
			left = 1
		}
		options := map[string]any{"timeoutMs": left}
		if key != "" {
			options["key"] = key
		}
		return []any{opCall, id, name, data, options}
	}}
}

// Published is where an event has its place, and how many sessions were in the topic.
type Published struct {
	Position
	Matched int64
}

// Publish appends an event and waits until it counts.
func (c *Client) Publish(ctx context.Context, topic, event string, data any, options CallOptions) (Published, error) {
	encoded, err := encodeData(data)
	if err != nil {
		return Published{}, err
	}
	var key any
	if options.Key != "" {
		key = options.Key
	}
	answer, err := c.begin(&request{topic: topic, keyed: key != nil, frame: func(id int64) []any {
		return []any{opPublish, id, topic, event, key, encoded}
	}}, options.timeout()).Wait(ctx)
	ack := fields(answer)
	return Published{Position{text(ack["epoch"]), number(ack["offset"])}, number(ack["matched"])}, err
}

// begin sends a request, or keeps it until it can be sent.
func (c *Client) begin(r *request, timeout time.Duration) *Pending {
	p := &Pending{client: c, request: r, answered: make(chan result, 1), timeout: timeout}
	done := r.done
	r.done = func(data any, err *Error) {
		if done != nil {
			done(data, err)
		}
		p.answered <- result{data, err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.send(r)
	return p
}

func failed(err error) *Pending {
	p := &Pending{answered: make(chan result, 1), timeout: time.Second}
	p.answered <- result{nil, &Error{Code: codeBadRequest, Message: err.Error()}}
	return p
}

// Wait waits for the answer. Giving up cancels the call; whether it took effect is not known then.
func (p *Pending) Wait(ctx context.Context) (any, error) {
	timer := time.NewTimer(p.timeout)
	defer timer.Stop()
	select {
	case got := <-p.answered:
		if got.err != nil {
			return nil, got.err
		}
		return got.data, nil
	case <-ctx.Done():
		p.client.forget(p.request)
		return nil, &Error{Code: codeCancelled, Message: ctx.Err().Error()}
	case <-timer.C:
		p.client.forget(p.request)
		return nil, &Error{Code: codeDeadline, Message: "no answer came in time"}
	}
}

// forget gives up a request whose answer nobody waits for any more. What belongs to the session, a lock, may have been
// granted all the same: its answer is still taken, so that it can be given back.
func (c *Client) forget(r *request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.finished {
		return
	}
	r.unwanted = true
	r.finished = !r.session
	if c.state == live && r.call && c.requests[r.id] == r {
		c.write([]any{opCancel, r.id})
	}
	if r.session && r.first.IsZero() {
		r.finished = true // it was never sent
	}
}

// send sends a request, after those that wait already.
func (c *Client) send(r *request) {
	if c.state == closed {
		r.finish(nil, disconnected())
		return
	}
	if int64(len(c.queue)) >= c.limit("pendingFrames", 4096) {
		r.finish(nil, &Error{Code: codeTooMany, Message: "too many requests wait to be sent"})
		return
	}
	c.queue = append(c.queue, r)
	c.flush()
}

// flush sends what can be sent: in order, but for what waits for its topic or for a free place.
func (c *Client) flush() {
	if c.state != live {
		return
	}
	calls := int64(0)
	for _, r := range c.requests {
		if r.call {
			calls++
		}
	}
	queue := c.queue
	c.queue = nil // what `done` of one of them sends comes behind
	rest := []*request{}
	for _, r := range queue {
		topic := c.topics[r.topic]
		switch {
		case r.finished:
		case topic != nil && topic.asking, r.call && calls >= c.limit("pendingCalls", 256):
			rest = append(rest, r)
		default:
			if r.call {
				calls++
			}
			c.transmit(r)
		}
	}
	c.queue = append(rest, c.queue...)
}

// request sends what the client itself asks, before what waits in the queue. A server that does not answer is asked again.
func (c *Client) request(r *request) {
	c.transmit(r)
	c.whileOn(c.conn, defaultTimeout+pongWithin, func() {
		if c.requests[r.id] == r {
			delete(c.requests, r.id)
			r.finish(nil, &Error{Code: codeDeadline, Message: "no answer came in time"})
		}
	})
}

func (c *Client) transmit(r *request) {
	c.lastID++
	frame := r.frame(c.lastID)
	bytes, err := Encode(frame)
	if err != nil || int64(len(bytes)) > c.limit("messageBytes", 1<<20) {
		r.finish(nil, &Error{Code: codeTooLarge, Message: "larger than limits.messageBytes"})
		return
	}
	r.id = c.lastID
	r.sent = time.Now()
	if r.first.IsZero() {
		r.first = r.sent
	}
	c.requests[r.id] = r
	if r.unwanted {
		c.write(frame, []any{opCancel, r.id})
	} else {
		c.write(frame)
	}
}

// unanswered takes the requests of the connection that ended, in the order in which they were sent.
func (c *Client) unanswered() []*request {
	list := make([]*request, 0, len(c.requests))
	for id, r := range c.requests {
		delete(c.requests, id)
		list = append(list, r)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].id < list[j].id })
	return list
}

// keepUnanswered puts what may be repeated before what is new (RW-SES-8), and fails the rest.
func (c *Client) keepUnanswered() {
	kept := []*request{}
	for _, r := range c.unanswered() {
		r.id = 0
		if r.keyed {
			kept = append(kept, r)
		} else {
			r.finish(nil, disconnected())
		}
	}
	c.queue = append(kept, c.queue...)
}

// answer takes ACK or NACK; one that nobody waits for is ignored (RW-FRM-3).
func (c *Client) answer(frame []any) {
	id := number(at(frame, 1))
	r := c.requests[id]
	if r == nil {
		return
	}
	delete(c.requests, id)
	c.heardFor(r.sent)
	if number(frame[0]) == opAck {
		r.finish(at(frame, 2), nil)
	} else {
		r.finish(nil, &Error{Code: int(number(at(frame, 2))), Message: text(at(frame, 3)), Details: at(frame, 4)})
	}
	c.flush()
}

// serve answers a call of the server's, on the connection it came on or not at all.
func (c *Client) serve(frame []any) {
	id, ok := integer(at(frame, 1))
	if !ok {
		return
	}
	handler := c.handlers[text(at(frame, 2))]
	if handler == nil {
		c.write([]any{opNack, id, codeUnknownCall, "no handler for this call"})
		return
	}
	k, data := c.conn, at(frame, 3)
	go func() {
		reply, err := handler(data)
		encoded, bad := encodeData(reply)
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case c.conn != k || c.state != live:
		case err != nil || bad != nil:
			c.write([]any{opNack, id, codeHandlerFailed, "the handler failed"})
		default:
			c.write([]any{opAck, id, encoded})
		}
	}()
}

// retryIn is how long to wait before a request is made once more: at least what the server says.
func (c *Client) retryIn(err *Error, tries int) time.Duration {
	longest := longestBackoff
	if tries < 16 && c.options.Backoff<<tries < longest {
		longest = c.options.Backoff << tries
	}
	return time.Duration(number(fields(err.Details)["retryAfterMs"]))*time.Millisecond + jitter(longest)
}
