package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"
	"text/template/parse"

	"gopkg.in/yaml.v2"
)

// Content packs become questions: every string with an action in it, twice. Once as it is, which
// compares the parsers and the way to the first method call; and once with the method calls of Digital
// Rebar's render data rewritten to look-ups in plain data, under several made-up sets of parameters.

// source is a template of a pack.
type source struct{ name, text string }

// strings found in a YAML document, however deep.
func yamlStrings(prefix string, value any, found *[]source) {
	switch v := value.(type) {
	case string:
		if strings.Contains(v, "{{") {
			*found = append(*found, source{prefix, v})
		}
	case []any:
		for i, item := range v {
			yamlStrings(fmt.Sprintf("%s.%d", prefix, i), item, found)
		}
	case map[any]any:
		for key, item := range v {
			yamlStrings(fmt.Sprintf("%s.%v", prefix, key), item, found)
		}
	}
}

func collect(dirs []string) ([]source, error) {
	var found []source
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(filepath.Dir(dir), path)
			switch filepath.Ext(path) {
			case ".tmpl":
				found = append(found, source{name, string(raw)})
			case ".yaml", ".yml", ".json":
				var document any
				if yaml.Unmarshal(raw, &document) == nil {
					yamlStrings(name, document, &found)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].name < found[j].name })
	return found, nil
}

// methods that take arguments, by how they are rewritten.
var lookups = map[string]string{
	"Param": "index", "ParamExpand": "index", "ComposeParam": "index", "ParamCompose": "index", "ParamComposeExpand": "index",
	"ParamExists": "hasKey", "ParamAsJSON": "json", "ParamAsYAML": "json",
}

var printed = map[string]bool{
	"MacAddr": true, "PathFor": true, "PathForArch": true, "GenerateProfileToken": true, "CallTemplate": true, "KernelFor": true,
	"InitrdsFor": true, "BootParamsFor": true, "NetmaskToCIDR": true, "JoinInitrds": true, "JoinInitrdsFor": true, "LineFrom": true,
	"ParseUrl": true, "ParseURL": true, "VersionEq": true, "UrlFor": true, "StringExpand": true, "ObjectExpand": true, "Repos": true,
}

// rewriter turns method calls into look-ups and notes which parameters are asked for.
type rewriter struct{ keys map[string]bool }

func (r *rewriter) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			r.pipe(n.Pipe)
		case *parse.IfNode:
			r.branch(&n.BranchNode)
		case *parse.RangeNode:
			r.branch(&n.BranchNode)
		case *parse.WithNode:
			r.branch(&n.BranchNode)
		case *parse.TemplateNode:
			r.pipe(n.Pipe)
		}
	}
}

func (r *rewriter) branch(b *parse.BranchNode) {
	r.pipe(b.Pipe)
	r.list(b.List)
	r.list(b.ElseList)
}

func (r *rewriter) pipe(p *parse.PipeNode) {
	if p == nil {
		return
	}
	for _, c := range p.Cmds {
		r.command(c)
	}
}

func (r *rewriter) command(c *parse.CommandNode) {
	for _, arg := range c.Args[1:] {
		if p, ok := arg.(*parse.PipeNode); ok {
			r.pipe(p)
		}
	}
	var idents []string
	switch first := c.Args[0].(type) {
	case *parse.PipeNode:
		r.pipe(first)
		return
	case *parse.FieldNode:
		idents = first.Ident
	case *parse.VariableNode:
		idents = first.Ident[1:]
	}
	if len(idents) == 0 {
		return
	}
	method := idents[len(idents)-1]
	if printed[method] {
		c.Args = append([]parse.Node{parse.NewIdentifier("print"), &parse.StringNode{NodeType: parse.NodeString, Quoted: `"` + method + ` "`}}, c.Args[1:]...)
		return
	}
	function, ok := lookups[method]
	if !ok || len(c.Args) < 2 {
		return
	}
	if s, ok := c.Args[1].(*parse.StringNode); ok {
		r.keys[s.Text] = true
	}
	if function == "json" {
		c.Args = append([]parse.Node{parse.NewIdentifier("toJson")}, c.Args[1:]...)
		return
	}
	idents[len(idents)-1] = "Params"
	c.Args = append([]parse.Node{parse.NewIdentifier(function), c.Args[0]}, c.Args[1:]...)
}

// valueFor makes up a parameter, so that each variant has every kind somewhere.
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

func renderData(keys []string, variant int) any {
	params := map[string]any{}
	for i, key := range keys {
		if v := valueFor(i, variant); v != nil || variant > 2 {
			params[key] = v
		}
	}
	machine := map[string]any{
		"Name": "m1.example.com", "ShortName": "m1", "Address": "192.168.1.5", "HexAddress": "C0A80105", "Path": "machines/u-1", "UUID": "u-1",
		"Uuid": "u-1", "Url": "http://10.0.0.1:8091/machines/u-1", "Arch": "amd64", "Profiles": []any{"p1", "p2"}, "Tasks": []any{"t1", "stage:x"},
		"CurrentTask": 3.0, "BootEnv": "local", "Stage": "none", "Context": "", "CurrentJob": "j-1", "Meta": map[string]any{"icon": "x<y"}, "Params": params, "MacAddr": "aa",
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

// rewritten gives the text of a template after rewriting, or false when it does not parse.
func rewritten(text string, keys map[string]bool) (string, bool) {
	t, err := template.New("main").Funcs(funcs).Parse(text)
	if err != nil || t.Tree == nil {
		return "", false
	}
	r := &rewriter{keys: keys}
	r.list(t.Root)
	return t.Root.String(), true
}

func content(dirs []string, out io.Writer) error {
	sources, err := collect(dirs)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	defer w.Flush()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	common := map[string]string{}
	for _, s := range sources {
		if strings.HasSuffix(s.name, ".tmpl") {
			if text, ok := rewritten(s.text, map[string]bool{}); ok {
				common[filepath.Base(s.name)] = text
			}
		}
	}
	for _, s := range sources {
		q := question{Name: s.name, Main: "main", Templates: map[string]string{"main": s.text}, Data: renderData(nil, 0)}
		if err := enc.Encode(q); err != nil {
			return err
		}
		asked := map[string]bool{}
		text, ok := rewritten(s.text, asked)
		if !ok {
			continue
		}
		keys := make([]string, 0, len(asked))
		for key := range asked {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		for variant := range 7 {
			q := question{Name: fmt.Sprint(s.name, "#", variant), Main: "main", Templates: map[string]string{"main": text}, Data: renderData(keys, variant)}
			for name, text := range common {
				if strings.Contains(q.Templates["main"], fmt.Sprintf("template %q", name)) {
					q.Templates[name] = text
				}
			}
			if err := enc.Encode(q); err != nil {
				return err
			}
		}
	}
	return nil
}
