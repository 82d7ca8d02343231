package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// excuse is a difference that is there on purpose.
type excuse struct {
	reason string
	holds  func(want, got string) bool
}

// limit excuses a render that ours ends with an error of these last words, and Go does not.
func limit(of, words string) excuse {
	ends := regexp.MustCompile(`^error  .*: ` + words + `$`)
	return excuse{"limit of " + of, func(want, got string) bool { return ends.MatchString(got) && !ends.MatchString(want) }}
}

// excuses are the differences that are there on purpose, with the reason: the list of
// the README of crates/template as far as questions can meet it.
var excuses = []excuse{
	limit("steps", `exceeded the limit of \d+ steps`),
	limit("bytes of output", `exceeded the limit of \d+ bytes of output`),
	limit("bytes of values", `exceeded the limit of \d+ bytes of values`),
	limit("bytes of stack", `exceeded the limit of \d+ bytes of stack`),
	limit("bytes of one text", `exceeded the size limit while (printing|encoding JSON)`),
	limit("nesting of a text", `max expression depth exceeded`),
	limit("bytes of a regular expression", "error parsing regexp: expression (too large|nests too deeply): .*"),
	{"limit: too much for the oracle", func(want, _ string) bool {
		return want == "error  too much output" || want == "error  out of time" || want == "error  "+lost
	}},
	{"the zone of a time, by a verb that times do not have", func(want, got string) bool {
		local := strings.Contains(want, "*time.Location=&{") && strings.Contains(got, "*time.Location=")
		return local || zone.ReplaceAllString(want, "$1}") == zone.ReplaceAllString(got, "$1}")
	}},
	{"brackets in the host of a URL", func(want, _ string) bool {
		return strings.Contains(want, ": invalid IP-literal") || strings.Contains(want, ": invalid host: ParseAddr(")
	}},
	{"a time as Go syntax (%#v)", func(want, got string) bool {
		return strings.Contains(want, "time.Date(") && strings.Contains(got, "time.Time{wall:")
	}},
}

// zone finds the third private field of a time behind the first two.
var zone = regexp.MustCompile(`(\{ *[^{} ]+ +[^{} ]+) +(?:&\{.*?\}|[^{}]*)\}`)

func reason(want, got string) string {
	for _, e := range excuses {
		if e.holds(want, got) {
			return e.reason
		}
	}
	return ""
}

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
	excused := map[string]int{}
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
		if same(&a, &b) {
			continue
		}
		if why := reason(show(&a), show(&b)); why != "" {
			excused[why]++
		} else {
			differ++
			fmt.Fprintf(out, "--- %s\n%s\nwant %s\ngot  %s\n", a.Name, p.question.Bytes(), show(&a), show(&b))
		}
	}
	for _, why := range slices.Sorted(maps.Keys(excused)) {
		fmt.Fprintf(out, "%d differ on purpose (%s)\n", excused[why], why)
	}
	fmt.Fprintf(out, "%d questions, %d outputs and %d errors expected, %d differences without a reason\n", total, total-failed, failed, differ)
	if differ > 0 {
		return fmt.Errorf("%d differences", differ)
	}
	return nil
}
