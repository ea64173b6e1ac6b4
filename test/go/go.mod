// A client of PROTOCOL.md in a third language, as a newcomer writes it. See README.md.
module roomwire.test/go

go 1.19

require github.com/gorilla/websocket v1.5.0

// Debian's golang-github-gorilla-websocket-dev: the build needs no network.
replace github.com/gorilla/websocket => /usr/share/gocode/src/github.com/gorilla/websocket
