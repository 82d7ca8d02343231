package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"gopkg.in/yaml.v2"
)

// Reading checkouts of content packs: the strings with actions in them, and what parameters look like.

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

// packs is what checkouts hold.
type packs struct {
	sources []source
	// schemas of parameters by name.
	schemas map[string]map[string]any
}

func collect(dirs []string) (*packs, error) {
	found := &packs{schemas: map[string]map[string]any{}}
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
				found.sources = append(found.sources, source{name, string(raw)})
			case ".yaml", ".yml", ".json":
				var document any
				if yaml.Unmarshal(raw, &document) == nil {
					yamlStrings(name, document, &found.sources)
					found.param(document)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	sort.Slice(found.sources, func(i, j int) bool { return found.sources[i].name < found.sources[j].name })
	return found, nil
}

// param notes the schema of a document that is a parameter.
func (p *packs) param(document any) {
	object, ok := plain(document).(map[string]any)
	if !ok {
		return
	}
	name, _ := object["Name"].(string)
	if schema, ok := object["Schema"].(map[string]any); ok && name != "" {
		p.schemas[name] = schema
	}
}

// plain turns what the YAML parser gives into what JSON can say.
func plain(value any) any {
	switch v := value.(type) {
	case map[any]any:
		object := map[string]any{}
		for key, item := range v {
			object[fmt.Sprint(key)] = plain(item)
		}
		return object
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = plain(item)
		}
		return list
	}
	return value
}
