package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Content packs become questions: every string with an action in it, several times. Once as it is, which compares the parsers
// and the way to the first method call; and rewritten to plain data, under several made-up sets of parameters.

// Variants of made-up data: in the first ones a parameter has any kind, also wrong ones, so that each variant has every kind
// somewhere; in the typed ones it has a value that its schema allows, so that templates get to their end.
const (
	untyped    = 7
	defaults   = 7  // the schema's default, else a value
	values     = 8  // a value
	others     = 9  // another value, booleans turned
	onlyGiven  = 10 // the schema's default, else no value
	everyOther = 11 // a value for every other parameter
	variants   = 12
)

// bySchema makes up a value for a schema. Of what it allows, n selects.
func bySchema(schema map[string]any, n, variant, depth int) any {
	if value, ok := schema["default"]; ok && (variant == defaults || variant == onlyGiven) {
		return value
	}
	if variant == onlyGiven {
		return nil
	}
	if enum, ok := schema["enum"].([]any); ok && len(enum) > 0 {
		return enum[n%len(enum)]
	}
	kind, _ := schema["type"].(string)
	if list, ok := schema["type"].([]any); ok && len(list) > 0 {
		kind = fmt.Sprint(list[n%len(list)])
	}
	sub := func(of any, n int) any {
		if s, ok := of.(map[string]any); ok && depth > 0 {
			return bySchema(s, n, variant, depth-1)
		}
		return fmt.Sprintf("text%d", n)
	}
	switch kind {
	case "boolean":
		return (variant == others) != (n%2 == 0)
	case "integer", "number":
		return float64(n % 5)
	case "array":
		return []any{sub(schema["items"], n), sub(schema["items"], n+1)}
	case "object":
		object := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		for i, name := range slices.Sorted(maps.Keys(properties)) {
			object[name] = sub(properties[name], n+i)
		}
		if len(object) == 0 {
			object["first"], object["second"] = sub(schema["additionalProperties"], n), sub(schema["additionalProperties"], n+1)
		}
		return object
	}
	return []string{"10.0.0.5", "some text", "/dev/sda", "a,b-c_d", "http://10.0.0.9:8091/x"}[n%5]
}

// valueFor makes up a parameter of any kind.
func valueFor(n, variant int) any {
	kinds := []any{
		nil, "text/with.parts,and more", true, 42.0, 1500000.0, "", false, []any{"a", "b", "c"}, 20.04,
		map[string]any{"name": "n", "key": "k", "disk": "/dev/sda", "a": map[string]any{"b": 1.0}},
		[]any{map[string]any{"name": "x", "namespace": "ns", "mount": "/m", "Address": "10.0.0.1", "File": "f"}, map[string]any{"name": "y"}},
		map[string]any{}, []any{}, "true", "centos-7",
	}
	if variant == 0 {
		return nil
	}
	return kinds[(n*7+variant*3)%len(kinds)]
}

// params makes up the parameters that are asked for.
func (p *packs) params(keys []string, variant int) map[string]any {
	made := map[string]any{}
	for i, key := range keys {
		var value any
		switch {
		case variant < untyped:
			value = valueFor(i, variant)
		case variant == everyOther && i%2 == 0:
			continue
		default:
			value = bySchema(p.schemas[key], i, variant, 4)
		}
		if value != nil || variant > 2 && variant < untyped {
			made[key] = value
		}
	}
	return made
}

func renderData(params map[string]any, variant int) any {
	machine := map[string]any{
		"Name": "m1.example.com", "ShortName": "m1", "Address": "192.168.1.5", "HexAddress": "C0A80105", "Path": "machines/u-1", "UUID": "u-1",
		"Uuid": "u-1", "Url": "http://10.0.0.1:8091/machines/u-1", "Arch": "amd64", "Profiles": []any{"p1", "p2"}, "Tasks": []any{"t1", "stage:x"},
		"CurrentTask": 1.0, "BootEnv": "local", "Stage": "none", "Context": "", "CurrentJob": "j-1", "Meta": map[string]any{"icon": "x<y"}, "Params": params, "MacAddr": "aa",
	}
	osMap := map[string]any{"Name": "centos-7", "Family": "centos", "FamilyName": "centos", "FamilyType": "rhel", "Version": "7", "Codename": "core", "FamilyVersion": "7",
		"SupportedArchitectures": map[string]any{"amd64": map[string]any{"IsoFile": "c.iso"}}}
	if variant%2 == 0 {
		osMap["Family"], osMap["FamilyName"], osMap["FamilyType"], osMap["Name"] = "debian", "ubuntu", "debian", "ubuntu-20.04"
	}
	repo := map[string]any{"Install": "install\nurl --url http://x\n", "Lines": "[x]\nname=x\n", "Tag": "x"}
	return map[string]any{
		"Machine": machine, "Params": params, "Info": map[string]any{"Id": "drp"},
		"Env":            map[string]any{"Name": "centos-7-install", "OS": osMap, "Kernel": "vmlinuz", "Initrds": []any{"a", "b"}, "InstallUrl": "http://x/i", "BootParams": "quiet"},
		"ProvisionerURL": "http://10.0.0.1:8091", "ApiURL": "https://10.0.0.1:8092", "ProvisionerAddress": "10.0.0.1", "GenerateToken": "tok", "GenerateInfiniteToken": "tok",
		"BootParams": "quiet", "InstallRepos": []any{repo}, "MachineRepos": []any{repo, repo}, "Task": map[string]any{"Name": "t"}, "Stage": map[string]any{"Name": "s"},
	}
}

// closure is a rewritten template with all the templates that it calls, and all the parameters that they ask for.
func closure(main *rewrite, common map[string]*rewrite) (map[string]string, []string) {
	templates := map[string]string{"main": main.text}
	keys := maps.Clone(main.keys)
	for todo := slices.Collect(maps.Keys(main.calls)); len(todo) > 0; todo = todo[1:] {
		called, ok := common[todo[0]]
		if _, have := templates[todo[0]]; have || !ok {
			continue
		}
		templates[todo[0]] = called.text
		maps.Copy(keys, called.keys)
		todo = append(todo, slices.Collect(maps.Keys(called.calls))...)
	}
	return templates, slices.Sorted(maps.Keys(keys))
}

// ask calls back with every question that checkouts of content packs give.
func ask(dirs []string, yield func(*question) error) error {
	found, err := collect(dirs)
	if err != nil {
		return err
	}
	common := map[string]*rewrite{}
	for _, s := range found.sources {
		if strings.HasSuffix(s.name, ".tmpl") {
			if r, ok := rewritten(s.text); ok {
				common[filepath.Base(s.name)] = r
			}
		}
	}
	for _, s := range found.sources {
		bare := renderData(map[string]any{}, 0)
		if err := yield(&question{Name: s.name, Main: "main", Templates: map[string]string{"main": s.text}, Data: bare}); err != nil {
			return err
		}
		r, ok := rewritten(s.text)
		if !ok {
			continue
		}
		templates, keys := closure(r, common)
		for variant := range variants {
			data := renderData(found.params(keys, variant), variant)
			q := &question{Name: fmt.Sprint(s.name, "#", variant), Main: "main", Templates: templates, Data: data}
			if err := yield(q); err != nil {
				return err
			}
		}
	}
	return nil
}

func content(dirs []string, out io.Writer) error {
	w := bufio.NewWriter(out)
	defer w.Flush()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return ask(dirs, func(q *question) error { return enc.Encode(q) })
}

// hard asks about the demanding templates named in a file, one question for each: the longest text of a file of several, under
// the first typed variant with which it renders.
func hard(list string, dirs []string, out io.Writer) error {
	raw, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	wanted := strings.Fields(string(raw))
	best := map[string]*question{}
	err = ask(dirs, func(q *question) error {
		name, variant, _ := strings.Cut(q.Name, "#")
		at := slices.IndexFunc(wanted, func(suffix string) bool {
			return strings.HasSuffix(name, "/"+suffix) || strings.Contains(name, "/"+suffix+".")
		})
		if at < 0 || len(variant) == 0 || variant < "7" && len(variant) == 1 {
			return nil
		}
		have := best[wanted[at]]
		if have != nil && len(have.Templates["main"]) >= len(q.Templates["main"]) || !renders(q) {
			return nil
		}
		q.Name = name
		best[wanted[at]] = q
		return nil
	})
	if err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, suffix := range wanted {
		q := best[suffix]
		if q == nil {
			fmt.Fprintln(os.Stderr, "no question about", suffix)
			continue
		}
		if err := enc.Encode(q); err != nil {
			return err
		}
	}
	return nil
}

// renders tells whether Go answers with output. The data go through JSON first, as an answer's do.
func renders(q *question) bool {
	raw, err := json.Marshal(q)
	if err != nil {
		return false
	}
	var again question
	return json.Unmarshal(raw, &again) == nil && answerOf(&again).Error == nil
}
