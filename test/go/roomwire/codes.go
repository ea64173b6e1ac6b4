// Opcodes, errors and what a close code asks for (RW-CLO-1).
package roomwire

import "fmt"

const (
	opHello       = 1
	opWelcome     = 2
	opPing        = 3
	opPong        = 4
	opGoaway      = 5
	opAuth        = 6
	opBye         = 7
	opCall        = 16
	opAck         = 17
	opNack        = 18
	opCancel      = 19
	opSubscribe   = 32
	opUnsubscribe = 33
	opPublish     = 34
	opEvents      = 48
	opReset       = 49
	opRemoved     = 50
	opSubscribed  = 51
	opLatest      = 52
)

// Codes of errors that this client looks at or makes itself.
const (
	codeBadRequest    = 100
	codeUnknownCall   = 102
	codeForbidden     = 106
	codeJoinRequired  = 107
	codeNotSubscribed = 108
	codeTooLarge      = 109
	codeCancelled     = 113
	codeHandlerFailed = 130
	codeDeadline      = 200
	codeTooMany       = 201
	codeDisconnected  = 204
)

// Close codes that a client sends or treats apart.
const (
	closeNormal    = 1000
	closeNoStatus  = 1005
	closeAbnormal  = 1006
	closeBadFrame  = 4000
	closeTakenOver = 4008
	closeSilence   = 4300
)

// Error is a NACK, or what the client says in place of one.
type Error struct {
	Code    int
	Message string
	Details any
}

func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Message) }

// transient errors pass: the request may be made again after a while.
func (e *Error) transient() bool { return e.Code >= 200 && e.Code < 300 }

func disconnected() *Error {
	return &Error{Code: codeDisconnected, Message: "the connection ended before the answer"}
}

type closeClass int

const (
	final   closeClass = iota // do not reconnect
	tokens                    // get a new token: the first time at once
	backoff                   // reconnect with backoff
	longer                    // the same, with twice the time
	atOnce                    // the first time at once
)

func classOf(code int) closeClass {
	switch {
	case code >= 4000 && code < 4100:
		return final
	case code >= 4100 && code < 4200:
		return tokens
	case code >= 4200 && code < 4300:
		return longer
	case code >= 4300 && code < 4400:
		return atOnce
	}
	return backoff
}
