// One connection after another: opening, HELLO and WELCOME, signs of life, and what follows an end.
package roomwire

import (
	"context"
	"errors"
	"math/rand"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

const (
	subprotocol    = "roomwire.v1"
	largestMessage = 16 << 20
	writeWithin    = 10 * time.Second
	longestBackoff = 20 * time.Second
)

type connection struct {
	socket  *websocket.Conn
	resume  map[string]any // what HELLO offered to go on from
	hello   time.Time      // when it was sent
	began   time.Time      // when WELCOME came
	unlucky bool           // an attempt had failed before that

	goaway   int           // GOAWAY's code, 0 without one
	spread   time.Duration // its retryAfterMs
	silence  *time.Timer
	expected *time.Timer // runs while an answer to PING is due
	pings    map[int64]time.Time
}

func (k *connection) close(code int) {
	_ = k.socket.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(time.Second))
	_ = k.socket.Close()
}

// connect makes one attempt.
func (c *Client) connect() {
	c.attempt++
	c.state = connecting
	attempt := c.attempt
	c.after(welcomeWithin, func() {
		if c.attempt == attempt && c.state == connecting {
			c.giveUp(closeAbnormal)
		}
	})
	go c.open(attempt)
}

func (c *Client) open(attempt int) {
	ctx, cancel := context.WithTimeout(context.Background(), welcomeWithin)
	defer cancel()
	token, err := "", error(nil)
	if c.options.Token != nil {
		token, err = c.options.Token()
	}
	var socket *websocket.Conn
	var response *http.Response
	if err == nil {
		dialer := websocket.Dialer{Subprotocols: []string{subprotocol}}
		socket, response, err = dialer.DialContext(ctx, c.options.URL, nil)
	}
	c.mu.Lock()
	if c.attempt != attempt {
		c.mu.Unlock()
		if socket != nil {
			_ = socket.Close()
		}
		return
	}
	if err != nil {
		c.lost(closeAbnormal, retryAfter(response))
		c.mu.Unlock()
		return
	}
	socket.SetReadLimit(largestMessage)
	k := &connection{socket: socket, pings: map[int64]time.Time{}}
	c.conn = k
	c.greet(token)
	c.mu.Unlock()
	c.read(k)
}

// retryAfter is what a refused upgrade asks to wait at least (RW-CON-11).
func retryAfter(response *http.Response) time.Duration {
	if response == nil {
		return 0
	}
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// greet sends HELLO, with as many positions as it has room for (RW-HEL-1).
func (c *Client) greet(token string) {
	hello := map[string]any{"instance": c.instance}
	if c.options.Token != nil {
		hello["token"] = token
	}
	if c.options.Agent != "" {
		hello["agent"] = c.options.Agent
	}
	if c.options.Grace > 0 {
		hello["grace"] = c.options.Grace.Milliseconds()
	}
	if c.ticket != nil {
		hello["session"] = c.ticket
	}
	room := int(c.limit("helloBytes", 16_384)) - 64
	if bytes, err := Encode([]any{opHello, 1, hello}); err == nil {
		room -= len(bytes)
	}
	resume := map[string]any{}
	for name, topic := range c.topics {
		if topic.delivery == nil || len(resume) >= int(c.limit("topics", 1000)) {
			continue
		}
		size := len(name) + len(topic.delivery.Epoch) + 24
		if size > room {
			continue
		}
		room -= size
		resume[name] = topic.delivery.wire()
	}
	if len(resume) > 0 {
		hello["resume"] = resume
	}
	c.conn.resume = resume
	c.conn.hello = time.Now()
	c.lastID = 1
	c.write([]any{opHello, 1, hello})
}

// write sends frames as one message. A failure ends the connection; its reader reports that.
func (c *Client) write(frames ...[]any) {
	var message []byte
	var err error
	for _, frame := range frames {
		if err == nil {
			message, err = appendValue(message, frame, 1)
		}
	}
	if err == nil {
		_ = c.conn.socket.SetWriteDeadline(time.Now().Add(writeWithin))
		err = c.conn.socket.WriteMessage(websocket.BinaryMessage, message)
	}
	if err != nil {
		_ = c.conn.socket.Close()
	}
}

func (c *Client) read(k *connection) {
	for {
		kind, message, err := k.socket.ReadMessage()
		c.mu.Lock()
		if c.conn != k {
			c.mu.Unlock()
			_ = k.socket.Close()
			return
		}
		if err != nil {
			c.lost(closeCode(err), 0)
			c.mu.Unlock()
			return
		}
		frames, err := DecodeMessage(message)
		if err != nil || kind != websocket.BinaryMessage {
			c.giveUp(closeBadFrame)
		}
		for _, frame := range frames {
			if c.conn == k && !c.handle(frame) {
				c.giveUp(closeBadFrame)
			}
		}
		c.heard()
		c.mu.Unlock()
		c.tell.waitForRoom()
	}
}

func closeCode(err error) int {
	var ended *websocket.CloseError
	if errors.As(err, &ended) {
		return ended.Code
	}
	return closeAbnormal
}

// heard starts the timers of silence anew (RW-CON-7): any message is a sign of life.
func (c *Client) heard() {
	k := c.conn
	if k == nil || c.state != live {
		return
	}
	if k.expected != nil {
		k.expected.Stop()
		k.expected = nil
	}
	if k.silence != nil {
		k.silence.Stop()
	}
	k.silence = c.whileOn(k, c.pingEvery, c.ping)
}

// ping asks for a sign of life; its answer tells the server's time, too.
func (c *Client) ping() {
	k := c.conn
	if k == nil || c.state != live {
		return
	}
	c.lastID++
	k.pings[c.lastID] = time.Now()
	c.write([]any{opPing, c.lastID})
	if k.expected == nil {
		k.expected = c.whileOn(k, pongWithin, func() { c.giveUp(closeSilence) })
	}
}

// giveUp ends a connection because of what the server did or did not do (RW-CLO-6).
func (c *Client) giveUp(code int) {
	if k := c.conn; k != nil {
		if code == closeAbnormal {
			_ = k.socket.Close()
		} else {
			go k.close(code)
		}
	}
	// What the server did is no reason to stay away: the client's own code is not judged like one of the server's.
	if classOf(code) == final {
		code = closeAbnormal
	}
	c.lost(code, 0)
}

// lost decides what follows the end of a connection, or an attempt that failed.
func (c *Client) lost(code int, atLeast time.Duration) {
	k := c.conn
	wasLive := c.state == live
	c.conn = nil
	c.state = waiting
	c.attempt++
	c.ended++
	c.failed = c.failed || !wasLive
	var spread time.Duration
	if k != nil {
		if k.goaway != 0 && (code == closeNoStatus || code == closeAbnormal) {
			code = k.goaway
		}
		spread = k.spread
	}
	c.keepUnanswered()
	wait, again := c.pause(code, spread, k)
	if !again {
		c.told(Refused, code)
		c.stop(&Error{Code: codeDisconnected, Message: "the connection ended for good, with code " + strconv.Itoa(code)})
		return
	}
	c.told(Offline, code)
	if wait < atLeast {
		wait = atLeast
	}
	attempt := c.attempt
	c.after(wait, func() {
		if c.attempt == attempt {
			c.connect()
		}
	})
}

func (c *Client) told(status Status, code int) {
	if c.options.OnStatus != nil {
		c.tell.add(func() { c.options.OnStatus(status, code) })
	}
}

// pause says how long to wait before the next attempt, if there is to be one (RW-CLO-1, RW-CLO-4).
func (c *Client) pause(code int, spread time.Duration, k *connection) (wait time.Duration, again bool) {
	class := classOf(code)
	if code == closeTakenOver && k != nil && k.unlucky && time.Since(k.began) < settledAfter {
		class = backoff // the late HELLO of an attempt of our own took the session (RW-SES-5)
	}
	switch class {
	case final:
		return 0, false
	case tokens:
		c.refusals++
		if c.options.Token == nil || c.refusals >= mostRefusals {
			return 0, false
		}
		if c.ended == 1 {
			return 0, true
		}
	case atOnce:
		if c.ended == 1 {
			return 0, true
		}
	case backoff, longer:
		if spread > 0 {
			return jitter(spread), true
		}
	}
	doublings := c.ended - 1
	if class == longer {
		doublings++
	}
	longest := longestBackoff
	if doublings < 16 && c.options.Backoff<<doublings < longest {
		longest = c.options.Backoff << doublings
	}
	return jitter(longest), true
}

func jitter(longest time.Duration) time.Duration {
	return time.Duration(rand.Int63n(int64(longest) + 1))
}
