// The frames of a connection in their order, WELCOME and the session that it resumes or begins.
package roomwire

import "time"

// handle takes a frame; false: it is none that a server sends.
func (c *Client) handle(frame []any) bool {
	op := number(frame[0])
	if c.state != live && op != opWelcome && op != opGoaway {
		return false
	}
	switch op {
	case opWelcome:
		return c.state == connecting && c.welcome(fields(at(frame, 2)))
	case opPing:
		c.write([]any{opPong, at(frame, 1)})
	case opPong:
		c.pong(frame)
	case opGoaway:
		c.conn.goaway = int(number(at(frame, 1)))
		c.conn.spread = time.Duration(number(at(frame, 3))) * time.Millisecond
	case opCall:
		c.serve(frame)
	case opAck, opNack:
		c.answer(frame)
	case opCancel: // may be ignored (RW-CAL-10)
	case opEvents, opReset, opRemoved, opSubscribed, opLatest:
		c.topicFrame(op, frame)
	default:
		return op >= 128
	}
	return true
}

func (c *Client) welcome(w map[string]any) bool {
	ticket := items(w["session"])
	if len(ticket) != 2 {
		return false
	}
	k := c.conn
	resumed := w["resumed"] == true
	hadSession := c.ticket != nil
	c.ticket = ticket
	c.limits = fields(w["limits"])
	c.pingEvery = time.Duration(number(w["pingEvery"])) * time.Millisecond
	if c.pingEvery <= 0 {
		return false
	}
	k.began = time.Now()
	k.unlucky = c.failed
	c.answered = k.hello
	c.setSkew(k.hello, number(w["time"]))
	c.state = live
	c.whileOn(k, settledAfter, func() {
		c.ended, c.refusals, c.failed = 0, 0, false
	})
	c.told(Live, 0)
	c.renewAt(number(w["expiresAt"]))
	if hadSession && !resumed {
		for lock := range c.locks {
			lock.lose()
		}
		for _, r := range c.queue {
			if r.session && !r.first.IsZero() {
				r.finish(nil, disconnected())
			}
		}
	}
	if resumed {
		c.ping() // RW-SES-3
	}
	c.askForTime(k)
	given := fields(w["topics"])
	for name, topic := range c.topics {
		topic.afterWelcome(fields(given[name]))
	}
	c.flush()
	return true
}

// setSkew takes the halfway point between asking and hearing for the moment at which the server looked (RW-HEL-4).
func (c *Client) setSkew(asked time.Time, storeTime int64) {
	halfway := asked.Add(time.Since(asked) / 2)
	c.skew = storeTime - halfway.Sub(started).Milliseconds()
}

// started is the zero of the own clock, which is monotonic: the wall clock may be set.
var started = time.Now()

// storeNow is the server's time in ms.
func (c *Client) storeNow() int64 { return time.Since(started).Milliseconds() + c.skew }

// askForTime keeps the skew fresh also while other messages keep the connection alive (RW-CON-10).
func (c *Client) askForTime(k *connection) {
	c.whileOn(k, 4*c.pingEvery, func() {
		c.ping()
		c.askForTime(k)
	})
}

func (c *Client) pong(frame []any) {
	stamp, ok := integer(at(frame, 1))
	asked, known := c.conn.pings[stamp]
	if !ok || !known {
		return
	}
	delete(c.conn.pings, stamp)
	c.heardFor(asked)
	if storeTime, ok := integer(at(frame, 2)); ok {
		c.setSkew(asked, storeTime)
	}
}

// heardFor notes that something sent then was answered: the session lives for its grace after it (RW-LCK-7).
func (c *Client) heardFor(sent time.Time) {
	if sent.After(c.answered) {
		c.answered = sent
	}
}

// grace is how long the session outlives its connection (RW-SES-6).
func (c *Client) grace() time.Duration {
	if c.options.Grace == 0 {
		return time.Duration(c.limit("graceMs", 15_000)) * time.Millisecond
	}
	longest := time.Duration(c.limit("graceMaxMs", 300_000)) * time.Millisecond
	if c.options.Grace > longest {
		return longest
	}
	return c.options.Grace
}

// renewAt plans AUTH before the rights end (RW-AUT-5).
func (c *Client) renewAt(expiresAt int64) {
	if expiresAt == 0 || c.options.Token == nil {
		return
	}
	left := expiresAt - c.storeNow()
	if longest := (24 * time.Hour).Milliseconds(); left > longest {
		left = longest // a time.Duration has an end, and a token's life need not have one
	}
	life := time.Duration(left) * time.Millisecond
	early := 30 * time.Second
	if early > life/10 {
		early = life / 10
	}
	c.renewAfter(life-early, c.conn)
}

func (c *Client) renewAfter(d time.Duration, k *connection) {
	c.whileOn(k, d, func() {
		go func() {
			token, err := c.options.Token() // may take its time
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.conn != k || c.state != live {
				return
			}
			again := func() { c.renewAfter(time.Second+jitter(2*time.Second), k) }
			if err != nil {
				again()
				return
			}
			c.send(&request{
				frame: func(id int64) []any { return []any{opAuth, id, token} },
				done: func(data any, err *Error) {
					if err == nil {
						c.renewAt(number(fields(data)["expiresAt"]))
					} else if err.Code != codeForbidden && err.Code != codeDisconnected {
						again()
					}
				},
			})
		}()
	})
}
