package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"time"
)

// span is how long one question is measured.
const span = 20 * time.Millisecond

// measure gives the median time of a render, or false when it fails.
func measure(q *question) (time.Duration, bool) {
	root, err := compile(q)
	if err != nil {
		return 0, false
	}
	var out bytes.Buffer
	var times []time.Duration
	for start := time.Now(); time.Since(start) < span || len(times) < 5; {
		out.Reset()
		begin := time.Now()
		if root.ExecuteTemplate(&out, q.Main, q.Data) != nil {
			return 0, false
		}
		times = append(times, time.Since(begin))
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	return times[len(times)/2], true
}

// timeLines answers each question with its name and the time of one render in nanoseconds.
func timeLines(in io.Reader, out io.Writer) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 1<<20), 256<<20)
	for scanner.Scan() {
		var q question
		if err := json.Unmarshal(scanner.Bytes(), &q); err != nil {
			return err
		}
		if t, ok := measure(&q); ok {
			fmt.Fprintf(out, "%s\t%d\n", q.Name, t.Nanoseconds())
		}
	}
	return scanner.Err()
}
