//! Replays conformance vectors: scenarios recorded from the genuine cr-sqlite extension, one JSON object per line.
//!
//! The format and what of it is normative are described in `replication/tests/vectors/README.md`. Each site of a scenario
//! is a store in a directory of its own; writes go through [`StoreConnection`], changes travel as rows of `crsql_changes`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rusqlite::params_from_iter;
use rusqlite::types::Value as SqliteValue;
use serde_json::Value as Json;
use tempfile::TempDir;
use trellis_replication::store::{Store, StoreConnection, StoreOptions, TableSpec};
use trellis_replication::types::{ColumnId, SiteId, TableId};

/// How a file's scenarios came out.
pub(crate) struct FileReport {
    /// Scenarios that came out as recorded.
    pub(crate) passed: usize,
    /// Those that did not, and how.
    pub(crate) failed: Vec<(String, String)>,
}

/// Replays a file.
///
/// # Errors
/// If it cannot be read or is not in the format.
pub(crate) fn run_file(path: &Path) -> Result<FileReport> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut report = FileReport { passed: 0, failed: Vec::new() };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let scenario: Json = serde_json::from_str(line)?;
        match run_scenario(&scenario) {
            Ok(()) => report.passed += 1,
            Err(error) => {
                report.failed.push((field(&scenario, "name")?.to_string(), format!("{error:#}")));
            }
        }
    }
    Ok(report)
}

fn field<'a>(json: &'a Json, name: &str) -> Result<&'a Json> {
    json.get(name).ok_or_else(|| anyhow!("no {name} in {json}"))
}

fn list<'a>(json: &'a Json, name: &str) -> Result<&'a [Json]> {
    field(json, name)?.as_array().map(Vec::as_slice).ok_or_else(|| anyhow!("{name} is not a list"))
}

fn text<'a>(json: &'a Json, name: &str) -> Result<&'a str> {
    field(json, name)?.as_str().ok_or_else(|| anyhow!("{name} is not text"))
}

fn index(json: &Json, name: &str) -> Result<usize> {
    let number = field(json, name)?.as_u64().ok_or_else(|| anyhow!("{name} is not a number"))?;
    Ok(usize::try_from(number)?)
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    ensure!(text.is_ascii() && text.len().is_multiple_of(2), "not hexadecimal: {text}");
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// A value of the format.
fn value(json: &Json) -> Result<SqliteValue> {
    let Some((kind, value)) = json.as_object().and_then(|object| object.iter().next()) else {
        ensure!(json.is_null(), "not a value: {json}");
        return Ok(SqliteValue::Null);
    };
    Ok(match (kind.as_str(), value) {
        ("i", Json::Number(number)) => SqliteValue::Integer(number.to_string().parse()?),
        ("r", Json::Number(number)) => SqliteValue::Real(number.to_string().parse()?),
        ("r", Json::String(number)) => SqliteValue::Real(number.parse()?),
        ("t", Json::String(text)) => SqliteValue::Text(text.clone()),
        ("b", Json::String(bytes)) => SqliteValue::Blob(unhex(bytes)?),
        _ => bail!("not a value: {json}"),
    })
}

/// A value as it is compared and shown: type and exact value.
fn show(value: &SqliteValue) -> String {
    match value {
        SqliteValue::Null => "null".into(),
        SqliteValue::Integer(integer) => format!("i:{integer}"),
        SqliteValue::Real(real) => format!("r:{real:?}"),
        SqliteValue::Text(text) => format!("t:{text:?}"),
        SqliteValue::Blob(blob) => format!("b:{}", hex(blob)),
    }
}

/// One site.
struct Site {
    connection: StoreConnection,
    store: Arc<Store>,
    _directory: TempDir,
    /// Table, all columns, key columns in key order.
    tables: Vec<(String, Vec<String>, Vec<String>)>,
}

fn run_scenario(scenario: &Json) -> Result<()> {
    let schema = list(scenario, "schema")?;
    let mut sites = Vec::new();
    for id in list(scenario, "sites")? {
        let id = unhex(id.as_str().unwrap_or_default())?;
        let id = id.try_into().map_err(|_wrong_length| anyhow!("a site has 16 bytes"))?;
        sites.push(Site::new(SiteId(id), schema)?);
    }
    let tables_only = scenario
        .get("tags")
        .and_then(Json::as_array)
        .is_some_and(|tags| tags.contains(&"tables-only".into()));
    let mut sent: BTreeSet<(usize, usize, Vec<String>)> = BTreeSet::new();
    for (number, step) in list(scenario, "steps")?.iter().enumerate() {
        let done = match text(step, "op")? {
            "tx" => site(&mut sites, index(step, "site")?)?.transaction(step),
            "sync" => sync(&mut sites, step, &mut sent),
            "merge" => {
                let changes =
                    list(step, "changes")?.iter().map(change).collect::<Result<Vec<_>>>()?;
                site(&mut sites, index(step, "to")?)?.merge(&changes)
            }
            "expect" => expect(&sites, step, tables_only),
            other => bail!("unknown step {other}"),
        };
        done.with_context(|| format!("step {number}"))?;
    }
    expect(&sites, field(scenario, "expect")?, tables_only)
}

fn site(sites: &mut [Site], index: usize) -> Result<&mut Site> {
    sites.get_mut(index).ok_or_else(|| anyhow!("no site {index}"))
}

/// A hand-made change as a row of `crsql_changes`.
fn change(json: &Json) -> Result<Vec<SqliteValue>> {
    let Some([table, pk, cid, val, numbers @ ..]) = json.as_array().map(Vec::as_slice) else {
        bail!("not a change: {json}");
    };
    let [col_version, db_version, site, cl, seq] = numbers else { bail!("not a change: {json}") };
    let text =
        |json: &Json| json.as_str().map(str::to_owned).ok_or_else(|| anyhow!("not text: {json}"));
    let number = |json: &Json| {
        json.as_i64().map(SqliteValue::Integer).ok_or_else(|| anyhow!("not a number: {json}"))
    };
    Ok(vec![
        SqliteValue::Text(text(table)?),
        SqliteValue::Blob(unhex(&text(pk)?)?),
        SqliteValue::Text(text(cid)?),
        value(val)?,
        number(col_version)?,
        number(db_version)?,
        SqliteValue::Blob(unhex(&text(site)?)?),
        number(cl)?,
        number(seq)?,
    ])
}

impl Site {
    fn new(id: SiteId, schema: &[Json]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let store = Store::open(
            directory.path(),
            StoreOptions { site_id: Some(id), ..StoreOptions::default() },
        )?;
        let connection = store.connect()?;
        let mut site = Self { connection, store, _directory: directory, tables: Vec::new() };
        site.connection.begin(site.store.lease().acquire_uncancelled())?;
        for statement in schema {
            site.connection.sqlite().execute_batch(statement.as_str().unwrap_or_default())?;
        }
        site.register_all()?;
        if let Some(pending) = site.connection.commit()? {
            pending.wait()?;
        }
        Ok(site)
    }

    fn register_all(&mut self) -> Result<()> {
        let sqlite = self.connection.sqlite();
        let mut select = sqlite.prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'trellis%' AND name NOT LIKE 'sqlite%'",
        )?;
        let names =
            select.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        drop(select);
        for (number, name) in (1..).zip(names) {
            let sqlite = self.connection.sqlite();
            let mut select = sqlite.prepare("SELECT name, pk FROM pragma_table_info(?1)")?;
            let columns = select
                .query_map([&name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)))?;
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            drop(select);
            let ids: Vec<_> = (1..).map(ColumnId).zip(&columns).collect();
            let mut key: Vec<_> = ids.iter().filter(|(_, (_, place))| *place > 0).collect();
            key.sort_by_key(|(_, (_, place))| *place);
            let spec = TableSpec {
                id: TableId(number),
                name: name.clone(),
                columns: ids.iter().map(|(id, (name, _))| (*id, name.clone())).collect(),
                key: key.iter().map(|(id, _)| *id).collect(),
                system: false,
            };
            let key = key.iter().map(|(_, (name, _))| name.clone()).collect();
            self.connection.register_table(&spec)?;
            self.tables.push((name, columns.into_iter().map(|(name, _)| name).collect(), key));
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        Ok(self.connection.begin(self.store.lease().acquire_uncancelled())?)
    }

    fn transaction(&mut self, step: &Json) -> Result<()> {
        self.begin()?;
        for statement in list(step, "sql")? {
            let (sql, fails) = match statement {
                Json::String(sql) => (sql.as_str(), false),
                object => (
                    text(object, "sql")?,
                    object.get("fails").and_then(Json::as_bool).unwrap_or(false),
                ),
            };
            match self.connection.sqlite().execute_batch(sql) {
                Err(error) if !fails => return Err(error).context(sql.to_owned()),
                Ok(()) if fails => bail!("should have failed: {sql}"),
                Ok(()) | Err(_) => {}
            }
        }
        if step.get("end").and_then(Json::as_str) == Some("rollback") {
            self.connection.rollback();
        } else {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        // Nothing here is cut off from power: no need to wait for the disk.
        let _pending = self.connection.commit()?;
        Ok(())
    }

    fn merge(&mut self, changes: &[Vec<SqliteValue>]) -> Result<()> {
        self.begin()?;
        for change in changes {
            let mut insert = self.connection.sqlite().prepare_cached(
                "INSERT INTO crsql_changes (\"table\", pk, cid, val, col_version, db_version, site_id, cl, seq)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?;
            insert.execute(params_from_iter(change))?;
        }
        self.commit()
    }

    /// The whole feed in the order in which it is sent.
    fn feed(&self) -> Result<Vec<Vec<SqliteValue>>> {
        let mut select = self.connection.sqlite().prepare_cached(
            "SELECT \"table\", pk, cid, val, col_version, db_version, site_id, cl, seq FROM crsql_changes
             ORDER BY site_id, db_version, seq",
        )?;
        let rows = select.query_map([], |row| (0..9).map(|column| row.get(column)).collect())?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn tables(&self) -> Result<BTreeMap<String, Vec<Vec<String>>>> {
        let mut tables = BTreeMap::new();
        for (name, columns, key) in &self.tables {
            let quote = |names: &[String]| {
                let quoted = names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
                quoted.collect::<Vec<_>>().join(", ")
            };
            let sql = format!("SELECT {} FROM \"{name}\" ORDER BY {}", quote(columns), quote(key));
            let mut select = self.connection.sqlite().prepare(&sql)?;
            let row = |row: &rusqlite::Row<'_>| {
                (0..columns.len()).map(|column| Ok(show(&row.get(column)?))).collect()
            };
            let rows = select.query_map([], row)?.collect::<Result<_, _>>()?;
            tables.insert(name.clone(), rows);
        }
        Ok(tables)
    }
}

fn sync(
    sites: &mut [Site],
    step: &Json,
    sent: &mut BTreeSet<(usize, usize, Vec<String>)>,
) -> Result<()> {
    let (from, to) = (index(step, "from")?, index(step, "to")?);
    let all = step.get("all").and_then(Json::as_bool).unwrap_or(false);
    let target = site(sites, to)?.store.site_id();
    let mut changes = Vec::new();
    for change in site(sites, from)?.feed()? {
        if change.get(6) == Some(&SqliteValue::Blob(target.0.to_vec())) {
            continue;
        }
        let is_new = sent.insert((from, to, change.iter().map(show).collect()));
        if is_new || all {
            changes.push(change);
        }
    }
    site(sites, to)?.merge(&changes)
}

fn expect(sites: &[Site], expected: &Json, tables_only: bool) -> Result<()> {
    let expected = list(expected, "sites")?;
    for (number, (site, entry)) in sites.iter().zip(expected).enumerate() {
        let entry = match entry.get("same_as").and_then(Json::as_u64) {
            Some(other) => {
                expected.get(usize::try_from(other)?).ok_or_else(|| anyhow!("no site {other}"))?
            }
            None => entry,
        };
        expect_site(site, entry, tables_only).with_context(|| format!("site {number}"))?;
    }
    Ok(())
}

fn expect_site(site: &Site, entry: &Json, tables_only: bool) -> Result<()> {
    let tables = site.tables()?;
    for (name, rows) in field(entry, "tables")?.as_object().into_iter().flatten() {
        let rows = rows.as_array().into_iter().flatten();
        let row = |row: &Json| {
            row.as_array().into_iter().flatten().map(|json| Ok(show(&value(json)?))).collect()
        };
        let rows = rows.map(row).collect::<Result<Vec<Vec<String>>>>()?;
        let found = tables.get(name).cloned().unwrap_or_default();
        ensure!(found == rows, "table {name}: expected {rows:?}, found {found:?}");
    }
    if tables_only || entry.get("changes").is_none() {
        return Ok(());
    }
    expect_changes(site, entry)
}

/// A feed row's identity: table, pk, cid.
type Cell = (String, String, String);

fn expect_changes(site: &Site, entry: &Json) -> Result<()> {
    let mut found: BTreeMap<Cell, Vec<SqliteValue>> = BTreeMap::new();
    for row in site.feed()? {
        let [SqliteValue::Text(table), SqliteValue::Blob(pk), SqliteValue::Text(cid), ..] =
            &row[..]
        else {
            bail!("malformed feed row {row:?}");
        };
        found.insert((table.clone(), hex(pk), cid.clone()), row);
    }
    let mut groups: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    let optional = entry.get("optional").and_then(Json::as_array).into_iter().flatten();
    let mut expected = BTreeMap::new();
    for row in list(entry, "changes")? {
        expected.insert(cell_of(row)?, row);
    }
    for row in optional {
        let cell = cell_of(row)?;
        if !expected.contains_key(&cell) {
            found.remove(&cell);
        }
    }
    for (cell, row) in &expected {
        let found = found.remove(cell).ok_or_else(|| anyhow!("{cell:?} is missing"))?;
        compare(row, &found, &mut groups)
            .with_context(|| format!("{cell:?}: expected {row}, found {found:?}"))?;
    }
    ensure!(found.is_empty(), "unexpected in the feed: {:?}", found.values().next());
    for (origin, mut pairs) in groups {
        pairs.sort_unstable();
        let monotone = pairs.windows(2).all(|pair| match pair {
            [(group, version), (next_group, next_version)] => {
                (group == next_group) == (version == next_version) && version <= next_version
            }
            _ => true,
        });
        ensure!(monotone, "groups of {origin} do not match its db_versions: {pairs:?}");
    }
    Ok(())
}

fn cell_of(row: &Json) -> Result<Cell> {
    let text = |index: usize| row.get(index).and_then(Json::as_str).map(str::to_owned);
    text(0)
        .zip(text(1))
        .zip(text(2))
        .map(|((table, pk), cid)| (table, pk, cid))
        .ok_or_else(|| anyhow!("not a row: {row}"))
}

/// Compares `[table, pk, cid, val, col_version, site, cl, g]` with a feed row.
fn compare(
    row: &Json,
    found: &[SqliteValue],
    groups: &mut BTreeMap<String, Vec<(i64, i64)>>,
) -> Result<()> {
    let Some([_, _, _, val, col_version, site, cl, group]) = row.as_array().map(Vec::as_slice)
    else {
        bail!("not an expected row");
    };
    let [
        _,
        _,
        _,
        found_val,
        found_version,
        SqliteValue::Integer(db_version),
        SqliteValue::Blob(found_site),
        found_cl,
        ..,
    ] = found
    else {
        bail!("malformed feed row");
    };
    let number = |json: &Json| json.as_i64().map(SqliteValue::Integer);
    ensure!(show(&value(val)?) == show(found_val), "val");
    ensure!(number(col_version).as_ref() == Some(found_version), "col_version");
    ensure!(number(cl).as_ref() == Some(found_cl), "cl");
    if let Some(site) = site.as_str() {
        ensure!(site == hex(found_site), "site");
    }
    if let Some(group) = group.as_i64() {
        groups.entry(hex(found_site)).or_default().push((group, *db_version));
    }
    Ok(())
}
