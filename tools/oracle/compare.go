package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// A random map order, the address of something, or exhaustion of the machine is no difference.

type pair struct{ question, want, got *bufio.Scanner }

func openLines(path string) (*bufio.Scanner, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 1<<20), 512<<20)
	return s, nil
}

func show(a *answer) string {
	if a.Error != nil {
		return "error  " + *a.Error
	}
	if a.Output != nil {
		return fmt.Sprintf("output %q", *a.Output)
	}
	return "nothing"
}

func same(a, b *answer) bool {
	if (a.Error == nil) != (b.Error == nil) {
		return false
	}
	if a.Error != nil {
		return *a.Error == *b.Error
	}
	return a.Output != nil && b.Output != nil && *a.Output == *b.Output
}

// compare prints the questions that two files of answers answer differently, and fails if there are any.
func compare(questions, want, got string, out io.Writer) error {
	var p pair
	var err error
	for path, to := range map[string]**bufio.Scanner{questions: &p.question, want: &p.want, got: &p.got} {
		if *to, err = openLines(path); err != nil {
			return err
		}
	}
	total, failed, differ := 0, 0, 0
	for p.question.Scan() {
		if !p.want.Scan() || !p.got.Scan() {
			return fmt.Errorf("fewer answers than questions, after %d", total)
		}
		var a, b answer
		if err := json.Unmarshal(p.want.Bytes(), &a); err != nil {
			return err
		}
		if err := json.Unmarshal(p.got.Bytes(), &b); err != nil {
			return err
		}
		total++
		if a.Error != nil {
			failed++
		}
		if !same(&a, &b) {
			differ++
			fmt.Fprintf(out, "--- %s\n%s\nwant %s\ngot  %s\n", a.Name, p.question.Bytes(), show(&a), show(&b))
		}
	}
	fmt.Fprintf(out, "%d questions, %d errors expected, %d differences\n", total, failed, differ)
	if differ > 0 {
		return fmt.Errorf("%d differences", differ)
	}
	return nil
}
