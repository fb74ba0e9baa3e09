"""The README in each kit: instructions for the party's administrator, command by command."""

from fedner.deployment.provisioning.kit import Kit, Party

_OPENING = """\
# {title}

Federation **{federation}**, issued {issued:%Y-%m-%d}. The certificates in this kit hold until {valid_until:%Y-%m-%d}.
Written for fedner {fedner}, Flower {flwr} and Python {python}; run the commands in
{where}.

## First: is the kit whole, and from whom

```sh
fedner provision verify {path}
```

says whether anything was altered on the way, and prints the authority's fingerprint. Compare that with the coordinator
by telephone, not by the channel that the kit came through:

    {fingerprint}

"""

_COORDINATOR = """\
`ca.key` can make servers that every site trusts. Keep this folder on a machine of yours that is not the server, and a
copy of it offline. Nobody else may have it.

## Hand out the kits

- `server.tar.gz` to whoever runs the server, over a channel that nobody else reads: it holds the server's private key.
- `site-NAME.tar.gz` to each site. One that holds `NAME.key` is as secret; delete it here once it has arrived.

## Run

On the server's machine, with the server's kit: `fedner server server`. Here, once it is up:

```sh
fedner provision check {path}
fedner status {path}
```

## Later

```sh
fedner provision add {federation} --site NAME --public-key NAME.pub
fedner provision revoke {federation} --site NAME --reason "why"
fedner provision rotate {federation} --site NAME --public-key NAME.pub
fedner provision rotate {federation} --server
fedner provision rotate {federation} --ca
```

Each says which kits it changed; hand those over again.
"""

_SERVER = """\
`server.key` makes a machine the server of this federation: leave it readable by the server's user alone.

## Check this machine

```sh
fedner provision check {path}
```

says what is missing: versions, clock, certificates, names, ports, disk; and for each what to do. Sites must reach
{host} at port {ports.fleet}, the coordinator at port {ports.control}; ports {ports.runtime} and {ports.health} are for
this machine alone.

## Run

```sh
fedner server {path}
```

It registers the sites whose public keys lie in `sites/`, and no other. When the coordinator sends a newer kit, stop the
server, replace this folder by it, and start it again.
"""

_SITE = """\
{key}

## Write site.yaml

```sh
cp {path}/site.example.yaml site.yaml
```

Say in it where your labelled files are. They stay where they are; nobody but you reads site.yaml.

## Check this machine

```sh
fedner provision check {path} --site site.yaml
```

says what is missing: versions, clock, certificates, network, keys, text, disk; and for each what to do. This machine
must reach {host} at port {ports.fleet}; nobody needs to reach it.

## Take part

```sh
fedner client {path} --site site.yaml
```

## Watch

```sh
fedner status {path} --follow
```

shows the federation's runs, and of sites yours alone.
"""

_KEY_INSIDE = """\
`{site}.key` is your institution's private key: whoever has it can take part in your name. Leave it readable by the
user that runs `fedner client` alone. Was the kit sent over a channel that others read? Make a key of your own
(`fedner provision key --site {site} --out .`) and send the coordinator the `.pub` file."""

_KEY_OF_THEIR_OWN = """\
There is no private key in this kit: you have it. Put it beside the public one, for its owner alone:

```sh
install -m 600 {site}.key {path}/{site}.key
```"""

TRANSITION = """\
# The federation's authority is being replaced

`ca.crt` in this kit trusts two authorities: the new one and the one before it. The kit is signed by the one before it,
so that it can be checked with what was trusted so far:

```sh
fedner provision verify NEW-KIT --trusted OLD-KIT/ca.crt
```

1. Every site replaces its kit by this one, keeping its `.key` file, and starts `fedner client` again. It goes on with
   the server as it is.
2. When all have done so, the coordinator issues a server certificate under the new authority
   (`fedner provision rotate {federation} --server`), and the server's kit is replaced. From then on a site with an old
   kit refuses the server.
3. The coordinator ends the transition (`fedner provision rotate {federation} --ca --finish`) and hands out kits that
   trust the new authority alone.

The new authority's fingerprint, to compare by telephone:

    {fingerprint}
"""


def readme(kit: Kit, fingerprint: str, has_key: bool) -> str:
    """Return a kit's README.

    Args:
        kit: whose it is.
        fingerprint: the authority's.
        has_key: whether a site's kit holds its private key.
    """
    titles = {
        Party.coordinator: "The coordinator's kit",
        Party.server: "The server's kit",
        Party.site: f"The kit of site {kit.site}",
    }
    bodies = {Party.coordinator: _COORDINATOR, Party.server: _SERVER, Party.site: _SITE}
    coordinator = kit.party is Party.coordinator
    where = f"the folder that holds `{kit.federation}/`" if coordinator else "the folder that holds this one"
    path = f"{kit.federation}/{kit.name}" if coordinator else kit.name
    key = (_KEY_INSIDE if has_key else _KEY_OF_THEIR_OWN).format(site=kit.site, path=path)
    words = {
        **vars(kit),
        "path": path,
        "where": where,
        "title": titles[kit.party],
        "fingerprint": fingerprint,
        "key": key,
    }
    return (_OPENING + bodies[kit.party]).format(**words)


def site_example(site: str) -> str:
    """Return a site file to start from."""
    return f"""\
# The site file of {site}: written here, read only here. Relative paths are seen from this file.
site: {site}
data:
  train: [train.conll]
  dev: [dev.conll]
  test: [test.conll]
"""
