// Command oracle answers the same JSON lines as the example program render-lines of
// crates/template, with Go's own text/template and Sprig, so that the two can be compared byte for
// byte. See README.md. CI does not need it.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sort"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
)

type question struct {
	Name       string            `json:"name"`
	Templates  map[string]string `json:"templates"`
	Main       string            `json:"main"`
	Data       any               `json:"data"`
	MissingKey string            `json:"missingkey,omitempty"`
}

type answer struct {
	Name   string  `json:"name"`
	Output *string `json:"output,omitempty"`
	Error  *string `json:"error,omitempty"`
}

// functions is what Digital Rebar gives to templates.
func functions() template.FuncMap {
	m := sprig.GenericFuncMap()
	for _, name := range []string{"env", "expandenv", "now", "ago"} {
		delete(m, name)
	}
	// Go's order is random; ours is sorted.
	m["keys"], m["values"] = sortedKeys, sortedValues
	return m
}

func sortedKeys(dicts ...map[string]any) []string {
	keys := []string{}
	for _, dict := range dicts {
		keys = append(keys, slices.Sorted(maps.Keys(dict))...)
	}
	return keys
}

func sortedValues(dict map[string]any) []any {
	values := []any{}
	for _, key := range slices.Sorted(maps.Keys(dict)) {
		values = append(values, dict[key])
	}
	return values
}

var funcs = functions()

func compile(q *question) (*template.Template, error) {
	missing := q.MissingKey
	if missing == "" {
		missing = "default"
	}
	root := template.New("").Funcs(funcs).Option("missingkey=" + missing)
	names := make([]string, 0, len(q.Templates))
	for name := range q.Templates {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if _, err := root.New(name).Parse(q.Templates[name]); err != nil {
			return nil, err
		}
	}
	return root, nil
}

// patience is how long one question may take.
const patience = 5 * time.Second

// bounded is a writer that refuses to take more than the limit of the Rust side, or anything when the time is over.
type bounded struct {
	bytes.Buffer
	end    time.Time
	writes int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > 64<<20 {
		return 0, errors.New("too much output")
	}
	if b.writes++; b.writes%4096 == 0 && time.Now().After(b.end) {
		return 0, errors.New("out of time")
	}
	return b.Buffer.Write(p)
}

func render(q *question) (string, error) {
	root, err := compile(q)
	if err != nil {
		return "", err
	}
	out := bounded{end: time.Now().Add(patience)}
	if err := root.ExecuteTemplate(&out, q.Main, q.Data); err != nil {
		return "", err
	}
	return out.String(), nil
}

func answerOf(q *question) (a answer) {
	a.Name = q.Name
	defer func() {
		if r := recover(); r != nil {
			text := fmt.Sprint("panic: ", r)
			a.Output, a.Error = nil, &text
		}
	}()
	out, err := render(q)
	if err != nil {
		text := err.Error()
		a.Error = &text
	} else {
		a.Output = &out
	}
	return a
}

func answerLines(in io.Reader, out io.Writer) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 1<<20), 256<<20)
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for scanner.Scan() {
		if strings.TrimSpace(scanner.Text()) == "" {
			continue
		}
		var q question
		if err := json.Unmarshal(scanner.Bytes(), &q); err != nil {
			return fmt.Errorf("bad line: %w", err)
		}
		if err := enc.Encode(answerOf(&q)); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return scanner.Err()
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}
