//! From what was typed to calls and output: one arm per [`Do`].

use clap::ArgMatches;
use gantry_model::Kind;
use http::Method;
use serde_json::{Value, json};

use crate::session::{Environment, Session};
use crate::verb::{Do, Takes, Verb, Word};
use crate::{
    Error, blob, content, generic, inspect, machine, params, pool, special, status, subnet, verb, warn, watch,
};

/// A verb with its words, ready to run.
pub(crate) struct Typed<'a> {
    pub(crate) noun: String,
    pub(crate) session: Session,
    words: Vec<&'a str>,
    rest: Vec<&'a str>,
    matches: &'a ArgMatches,
    flags: &'static [crate::verb::Flag],
}

/// Finds the row of what was typed and runs it.
pub(crate) async fn dispatch(matches: &ArgMatches, environment: &Environment) -> Result<(), Error> {
    let (noun, inner) = matches.subcommand().ok_or_else(|| Error::Usage("say what to do".into()))?;
    match noun {
        "content" => return content::run(inner, environment).await,
        "options" => {
            crate::output::print(&crate::session::options());
            return Ok(());
        }
        "version" => {
            crate::output::print(&format!(
                "Version: {}\nGantry: {}",
                gantry_api::DRP_VERSION,
                env!("CARGO_PKG_VERSION")
            ));
            return Ok(());
        }
        _ => {}
    }
    let (row, inner) = find(noun, inner)?;
    // Global flags are known at every level, and the innermost has them all.
    let session = Session::open(inner, environment, row.act == Do::List).await?;
    let typed = Typed::new(noun, row, inner, session);
    let answer = act(row.act, &typed).await?;
    let Some(value) = answer else { return Ok(()) };
    crate::output::print(&typed.session.format.render(&value));
    match warn::errors(&value) {
        errors if typed.session.errors_are_fatal && !errors.is_empty() => {
            Err(Error::Faulty(errors.into_iter().map(str::to_owned).collect()))
        }
        _ => Ok(()),
    }
}

fn find<'a>(noun: &str, matches: &'a ArgMatches) -> Result<(&'static Verb, &'a ArgMatches), Error> {
    let Some((name, inner)) = matches.subcommand() else {
        return Err(Error::Usage(format!("say what to do with {noun}")));
    };
    let by_name = |verbs: &'static [Verb], name: &str| verbs.iter().find(|verb| verb.name == name);
    let unknown = || Error::Usage(format!("{noun} has no verb {name}"));
    if let Some(kind) = Kind::from_prefix(noun).filter(|kind| kind.spec().verbs.read) {
        if let Some(row) = verb::of_kind(kind).find(|verb| verb.name == name) {
            return Ok((row, inner));
        }
        let group = if name == "meta" { verb::meta() } else { special::group(name) };
        return match inner.subcommand() {
            Some((name, inner)) => by_name(group, name).map(|row| (row, inner)).ok_or_else(unknown),
            None => Ok((&META_SHOW, inner)),
        };
    }
    by_name(special::of_noun(noun), name).map(|row| (row, inner)).ok_or_else(unknown)
}

static META_SHOW: Verb = verb::verb("meta", &[], &[], Do::MetaShow, "Show the Meta map");

impl<'a> Typed<'a> {
    fn new(noun: &str, row: &'static Verb, matches: &'a ArgMatches, session: Session) -> Self {
        let mut typed = Self {
            noun: noun.to_owned(),
            session,
            words: Vec::new(),
            rest: Vec::new(),
            matches,
            flags: row.flags,
        };
        for (index, word) in row.words.iter().enumerate() {
            let given =
                matches.get_many::<String>(&format!("w{index}")).into_iter().flatten().map(String::as_str);
            match word {
                Word::Literal(_) => {}
                Word::Rest(_) => typed.rest.extend(given),
                Word::Needed(_) | Word::Optional(_) => typed.words.extend(given),
            }
        }
        if row.act == Do::MetaShow {
            typed.words.extend(matches.get_one::<String>("id").map(String::as_str));
        }
        typed
    }

    /// The word at `index` among the values; clap has seen to it that needed ones are there.
    pub(crate) fn word(&self, index: usize) -> &'a str {
        self.words.get(index).copied().unwrap_or_default()
    }

    pub(crate) fn optional(&self, index: usize) -> Option<&'a str> {
        self.words.get(index).copied()
    }

    pub(crate) fn rest(&self) -> &[&'a str] {
        &self.rest
    }

    pub(crate) fn flag(&self, name: &str) -> Option<&'a str> {
        self.matches.get_one::<String>(name).map(String::as_str)
    }

    pub(crate) fn switch(&self, name: &str) -> bool {
        self.matches.get_flag(name)
    }

    /// `/<noun>/<id>`
    pub(crate) fn path(&self) -> String {
        format!("/{}/{}", self.noun, self.word(0))
    }

    /// Where the actions of plugins for the object are; a job's own actions are something else.
    pub(crate) fn actions(&self) -> String {
        let word = if self.noun == Kind::Job.prefix() { "plugin_actions" } else { "actions" };
        format!("{}/{word}", self.path())
    }

    /// The verb's own flags as a query, with `force` when asked for.
    pub(crate) fn query(&self) -> Vec<(&'a str, &'a str)> {
        let mut query: Vec<(&str, &str)> = self.session.query();
        for (name, takes, _) in self.flags {
            match takes {
                Takes::Value => query.extend(self.flag(name).map(|value| (*name, value))),
                Takes::Nothing if self.switch(name) => query.push((name, "true")),
                Takes::Nothing => {}
            }
        }
        query
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Error> {
        Ok(self.session.client.get(path, query).await?)
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let stores = method != Method::DELETE && path.matches('/').count() <= 2;
        let answer = self.session.client.call(method, path, &self.session.query(), body).await?;
        if stores {
            warn::of_unavailable(&self.noun, &answer);
        }
        Ok(answer)
    }
}

async fn act(act: Do, typed: &Typed<'_>) -> Result<Option<Value>, Error> {
    let show = |path: &'static str| async move { typed.get(path, &[]).await.map(Some) };
    match act {
        Do::List => generic::list(typed).await,
        Do::Count => generic::count(typed).await,
        Do::Indexes => Ok(Some(typed.get(&format!("/indexes/{}", typed.noun), &[]).await?)),
        Do::Show => Ok(Some(typed.get(&typed.path(), &typed.query()).await?)),
        Do::Exists => generic::exists(typed).await,
        Do::Etag => generic::etag(typed).await,
        Do::Create => generic::create(typed).await,
        Do::Update => generic::update(typed).await,
        Do::Patch => generic::patch(typed).await,
        Do::Destroy => generic::destroy(typed).await,
        Do::Wait => generic::wait(typed).await,
        Do::MetaShow | Do::MetaGet | Do::MetaSet | Do::MetaAdd | Do::MetaRemove => {
            params::meta(act, typed).await
        }
        Do::Params | Do::ParamGet | Do::ParamSet | Do::ParamAdd | Do::ParamRemove => {
            params::params(act, typed).await
        }
        Do::Actions => Ok(Some(typed.get(&typed.actions(), &typed.query()).await?)),
        Do::Action => {
            let path = format!("{}/{}", typed.actions(), typed.word(1));
            Ok(Some(typed.get(&path, &typed.query()).await?))
        }
        Do::RunAction => params::run_action(typed).await,
        Do::SetFields(fields) => machine::set_fields(typed, fields).await,
        Do::SetRunnable(runnable) => machine::change(typed, &json!({ "Runnable": runnable })).await,
        Do::OptionGet => subnet::option(typed).await,
        Do::OptionSet => subnet::set_option(typed).await,
        Do::AddToList(field) => machine::add_to_list(typed, field).await,
        Do::RemoveFromList(field) => machine::remove_from_list(typed, field).await,
        Do::AddTasks => machine::add_tasks(typed).await,
        Do::InsertTask => machine::insert_task(typed).await,
        Do::Trace => machine::trace(typed).await,
        Do::CurrentLog => machine::current_log(typed).await,
        Do::DeleteJobs => machine::delete_jobs(typed).await,
        Do::Whoami => machine::whoami(typed).await,
        Do::InspectJobs | Do::InspectTasks => inspect::inspect(act, typed).await,
        Do::JobsCreate | Do::JobsCurrent | Do::JobsState => machine::jobs(act, typed).await,
        Do::JobsPurge => machine::purge_jobs(typed).await,
        Do::JobActions => {
            let query: Vec<_> = typed.flag("for-os").map(|os| ("os", os)).into_iter().collect();
            Ok(Some(typed.get(&format!("{}/actions", typed.path()), &query).await?))
        }
        Do::JobLog => machine::job_log(typed).await,
        Do::Token => generic::token(typed).await,
        Do::MachineToken => Ok(Some(typed.get(&format!("{}/token", typed.path()), &typed.query()).await?)),
        Do::Password => {
            let body = json!({ "Password": typed.word(1) });
            Ok(Some(typed.send(Method::PUT, &format!("{}/password", typed.path()), Some(&body)).await?))
        }
        Do::PasswordHash => status::password_hash(typed.word(0)).map(|()| None),
        Do::BlobList => blob::list(typed).await,
        Do::BlobUpload => blob::upload(typed).await,
        Do::BlobDownload => blob::download(typed).await,
        Do::BlobDestroy => blob::destroy(typed).await,
        Do::BlobExists => blob::exists(typed).await,
        Do::PoolsActive => show("/pools-active").await,
        Do::PoolStatus => Ok(Some(typed.get(&format!("{}/status", typed.path()), &[]).await?)),
        Do::PoolMove(command) => pool::moved(typed, command).await,
        Do::ReleaseToPool => {
            let path = format!("{}/releaseToPool", typed.path());
            Ok(Some(typed.send(Method::POST, &path, Some(&json!({}))).await?))
        }
        Do::PrefsList => show("/prefs").await,
        Do::PrefsSet => params::prefs(typed).await,
        Do::InfoGet => show("/info").await,
        Do::InfoCheck => show("/info").await.map(|_| Some(json!({ "active": true }))),
        Do::InfoStatus => status::status(typed).await,
        Do::EventsPost => {
            let event = crate::input::value(typed.word(0)).await?;
            typed.send(Method::POST, "/events", Some(&event)).await.map(|_| None)
        }
        Do::EventsWatch => watch::events(typed).await,
        Do::LogsGet => show("/logs").await,
        Do::LogsWatch => watch::logs(typed).await,
        Do::ObjectsList => show("/objects").await,
        Do::ContentList => content::server::list(typed).await,
        Do::ContentShow => content::live::show(typed).await,
        Do::ContentExists => generic::exists(typed).await,
        Do::ContentUpload => generic::upload_content(typed).await,
        Do::ContentBundle => content::bundle_here(typed.word(0), typed.rest()).map(|()| None),
        Do::ContentUnbundle => content::unbundle_here(typed.word(0)).map(|()| None),
        Do::ContentDocument => content::manual(typed.word(0)).map(|()| None),
        Do::ContentBundlize => content::live::bundlize(typed).await,
        Do::ContentConvert => content::live::convert(typed).await,
        Do::ContentUpdate => {
            let mut pack = crate::input::value(typed.word(1)).await?;
            content::key::open(typed.flag("key"), &mut pack)?;
            Ok(Some(typed.send(Method::PUT, &typed.path(), Some(&pack)).await?))
        }
        Do::ContentDestroy => generic::destroy(typed).await,
        Do::TemplateUpload => generic::upload_template(typed).await,
        Do::Raw => generic::raw(typed).await,
    }
}
