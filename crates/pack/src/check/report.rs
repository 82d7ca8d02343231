//! What a check found.

use gantry_boot::memo::Outcome;
use gantry_boot::survey::{Failure, Render, Target};
use gantry_model::{Kind, Machine, View};
use serde_json::{Value, json};

/// How much is kept of what is found. The rest is counted.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Findings.
    pub findings: usize,
    /// Changed files that are shown whole.
    pub changes: usize,
    /// Lines of a shown change.
    pub lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { findings: 1000, changes: 50, lines: 200 }
    }
}

/// A template that does not render, for one or for several machines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The pack of the object; empty for one that was made through the API.
    pub pack: String,
    /// `bootenvs/local`.
    pub object: String,
    /// The template of the object.
    pub template: String,
    /// The template whose text holds the fault.
    pub inside: String,
    /// Its line, from 1; 0 when there is none.
    pub line: usize,
    /// The column in bytes.
    pub column: usize,
    /// The engine's message.
    pub message: String,
    /// The parameter that was read last, and where its value came from.
    pub param: String,
    /// One of the machines; empty for unknown machines.
    pub machine: String,
    /// How many machines it concerns.
    pub machines: usize,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many machines were looked at.
    pub machines: usize,
    /// How many templates were rendered.
    pub rendered: usize,
    /// How many of them were known from before.
    pub remembered: usize,
    /// How many of them failed.
    pub failed: usize,
    /// The failures, alike ones together.
    pub findings: Vec<Finding>,
    /// Findings that are not listed.
    pub unlisted: usize,
    /// Parameters that templates read, and that nobody defines or sets: of samples only, machines have them or fail.
    pub unheard: Vec<Finding>,
}

impl Report {
    /// Takes one render into account.
    pub(crate) fn note_render(
        &mut self,
        view: &View,
        machine: Option<&Machine>,
        render: Render,
        limits: Limits,
    ) {
        self.rendered += 1;
        if let Err(failure) = render.result {
            self.failed += 1;
            let finding = finding(view, machine, render.kind, &render.object, &render.template, &failure);
            self.add(finding, limits);
        }
    }

    /// Takes into account that a template asked for a parameter that nobody has heard of.
    pub(crate) fn note_unheard(&mut self, view: &View, render: &Render, message: String, limits: Limits) {
        let Err(failure) = &render.result else { return };
        if self.unheard.len() < limits.findings {
            let failure = Failure { message, param: None, ..failure.clone() };
            self.unheard.push(finding(view, None, render.kind, &render.object, &render.template, &failure));
        }
    }

    /// Takes into account how a target came out.
    pub(crate) fn note(
        &mut self,
        view: &View,
        machine: Option<&Machine>,
        target: &Target,
        outcome: &Outcome,
        limits: Limits,
    ) {
        self.rendered += 1;
        self.remembered += usize::from(outcome.render.is_none());
        if let Some(failure) = &outcome.failure {
            self.failed += 1;
            let finding = finding(view, machine, target.kind, &target.object, target.template(), failure);
            self.add(finding, limits);
        }
    }

    fn add(&mut self, finding: Finding, limits: Limits) {
        let alike = |other: &&mut Finding| {
            (&other.object, &other.template, &other.inside, other.line, &other.param)
                == (&finding.object, &finding.template, &finding.inside, finding.line, &finding.param)
        };
        let full = self.findings.len() >= limits.findings;
        match self.findings.iter_mut().find(alike) {
            Some(known) => known.machines += finding.machines,
            None if full => self.unlisted += 1,
            None => self.findings.push(finding),
        }
    }

    /// Adds another report to this one.
    pub(crate) fn take_in(&mut self, other: Self, limits: Limits) {
        self.machines += other.machines;
        self.rendered += other.rendered;
        self.remembered += other.remembered;
        self.failed += other.failed;
        self.unlisted += other.unlisted;
        other.findings.into_iter().for_each(|finding| self.add(finding, limits));
    }

    /// The report as the API gives it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let findings = self.findings.iter().map(|finding| {
            json!({
                "Pack": finding.pack, "Object": finding.object, "Template": finding.template,
                "In": finding.inside, "Line": finding.line, "Column": finding.column,
                "Message": finding.message, "Param": finding.param,
                "Machine": finding.machine, "Machines": finding.machines,
            })
        });
        json!({
            "Machines": self.machines, "Rendered": self.rendered, "Remembered": self.remembered, "Failed": self.failed,
            "Findings": findings.collect::<Vec<_>>(), "Unlisted": self.unlisted,
        })
    }
}

fn finding(
    view: &View,
    machine: Option<&Machine>,
    kind: Kind,
    object: &str,
    template: &str,
    failure: &Failure,
) -> Finding {
    let pack = view.record(kind, object).map(|record| record.bundle().to_owned()).unwrap_or_default();
    let param = match (&failure.param, &failure.origin) {
        (Some(param), Some(origin)) => format!("{param} ({origin})"),
        (Some(param), None) => format!("{param} (not set)"),
        (None, _) => String::new(),
    };
    Finding {
        pack,
        object: format!("{}/{object}", kind.prefix()),
        template: template.to_owned(),
        inside: failure.template.clone(),
        line: failure.line,
        column: failure.column,
        message: failure.message.clone(),
        param,
        machine: machine.map(|machine| machine.name.clone()).unwrap_or_default(),
        machines: usize::from(machine.is_some()),
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { pack, object, template, line, column, message, param, machine, machines, .. } = self;
        if !pack.is_empty() {
            write!(f, "{pack}: ")?;
        }
        write!(f, "{object}: {template}")?;
        if *line > 0 {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {message}")?;
        if !param.is_empty() {
            write!(f, " [parameter {param}]")?;
        }
        match (*machines, machine.as_str()) {
            (0 | 1, "") => Ok(()),
            (1, machine) => write!(f, " [machine {machine}]"),
            (more, machine) => write!(f, " [{more} machines, such as {machine}]"),
        }
    }
}
