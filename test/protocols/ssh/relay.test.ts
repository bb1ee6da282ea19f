import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually, runProgram } from '../../support/run-program.ts'
import { NODE, SshLab } from '../../support/ssh-lab.ts'

let lab: SshLab
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

beforeAll(async () => {
  lab = await SshLab.start()
})
afterAll(() => lab.stop())
beforeEach(async () => {
  await eventually('the session before has ended', () => lab.relay.connections === 0)
  lab.control.change = {}
  lab.control.events.length = 0
  lab.control.ends.clear()
})

const endOfSession = async () => {
  await eventually('the session has ended', () => lab.relay.connections === 0)
  return [...lab.control.ends.values()][0]
}

describe('a command', () => {
  test('runs on the target with its output, errors and exit status', async () => {
    const done = await lab.ssh([NODE, 'echo out; echo err >&2; exit 7'])
    expect(done).toMatchObject({ code: 7, stdout: 'out\n', stderr: 'err\n' })
    expect(lab.control.events).toEqual([{ type: 'exec', channel: 0, command: 'echo out; echo err >&2; exit 7' }])
  })

  test('gets its input to the end', async () => {
    const done = await lab.ssh([NODE, 'wc -c; echo done'], 'x'.repeat(3_000_000))
    expect(done).toMatchObject({ code: 0, stdout: '3000000\ndone\n' })
  })

  test('that a signal ends is reported as that', async () => {
    const done = await lab.ssh([NODE, 'kill -TERM $$'])
    expect(done.code).toBe(255)
    await endOfSession()
    expect(await lab.recording()).toContainEqual(expect.objectContaining({ kind: 'exit', signal: 'TERM' }))
  })

  test('gets the harmless variables of the client and no others', async () => {
    const env = { ...process.env, LC_SALLYPORT: 'kept', SALLYPORT_TEST_X: 'dropped' }
    const args = [
      ...lab.flags,
      '-o',
      'SendEnv=LC_SALLYPORT SALLYPORT_TEST_X',
      NODE,
      'echo "$LC_SALLYPORT/$SALLYPORT_TEST_X"',
    ]
    const done = await runProgram('ssh', args, '', env)
    expect(done).toMatchObject({ code: 0, stdout: 'kept/\n', stderr: '' })
  })

  test('is recorded with its output, and its end is stored once with the head of the recording', async () => {
    await lab.ssh([NODE, 'echo recorded'])
    const ends = await endOfSession()
    expect(ends).toHaveLength(1)
    expect(ends?.[0]).toMatchObject({ reason: 'client_left', complete: true, contents: ['exec'] })
    expect(ends?.[0]?.head?.chunks).toBeGreaterThan(0)
    const kinds = (await lab.recording()).map((record) => record.kind)
    expect(kinds).toEqual(['start', 'channel', 'exec', 'output', 'exit', 'end'])
  })

  test('is not started when its event cannot be stored, and the terminal says so', async () => {
    lab.control.onAppend = () => Promise.reject(new Error('disk full'))
    const done = await lab.ssh([NODE, 'touch /tmp/sallyport-must-not-exist'])
    lab.control.onAppend = () => Promise.resolve()
    expect(done.code).not.toBe(0)
    expect(done.stderr).toContain('could not be stored')
    expect(existsSync('/tmp/sallyport-must-not-exist')).toBe(false)
  })

  test('is replaced by the one that the role forces', async () => {
    lab.control.change = {
      permissions: { pty: true, portForwarding: true, agentForwarding: true, forceCommand: 'echo forced' },
    }
    expect(await lab.ssh([NODE, 'id'])).toMatchObject({ stdout: 'forced\n' })
    expect(await lab.ssh([NODE])).toMatchObject({ stdout: 'forced\n' })
  })
})

describe('a terminal', () => {
  test('has the size of the real one, follows its changes, and is recorded', async () => {
    const shell = lab.terminal(['-tt', NODE], 31, 97)
    shell.write('PS1=; stty -echo; echo SIZE $(stty size) END\n')
    await shell.until(/SIZE 31 97 END/)
    shell.write('trap "echo WINCH $(tty) \\$(stty size) END" WINCH; echo READY $(tty)\n')
    await shell.until(/READY \/dev\/pts/)
    // The local end of the terminal is that of `script`, whose child is the ssh client.
    const local = await runProgram('sh', ['-c', `ps -o tty= --ppid ${shell.child.pid} | head -1`])
    await runProgram('stty', ['-F', `/dev/${local.stdout.trim()}`, 'rows', '43', 'cols', '132'])
    await shell.until(/WINCH \S+ 43 132 END/)
    shell.write('exit 3\n')
    expect((await shell.finished).code).toBe(3)
    await endOfSession()
    const records = await lab.recording()
    expect(records).toContainEqual(expect.objectContaining({ kind: 'pty', columns: 97, rows: 31 }))
    expect(records).toContainEqual(expect.objectContaining({ kind: 'resize', columns: 132, rows: 43 }))
    const output = records
      .filter((record) => record.kind === 'output')
      .map((record) => Buffer.from(record.bytes).toString())
    expect(output.join('')).toContain('SIZE 31 97 END')
    expect(lab.control.events).toEqual([{ type: 'shell', channel: 0 }])
  })

  test('is not given where the role has none', async () => {
    lab.control.change = {
      permissions: { pty: false, portForwarding: false, agentForwarding: false, forceCommand: null },
    }
    const done = await lab.ssh(['-tt', NODE, 'tty'])
    expect(done.stderr).toContain('PTY allocation request failed')
    expect(done).toMatchObject({ code: 255, stdout: '' })
  })
})

describe('files', () => {
  const content = randomBytes(3_000_000)

  beforeAll(() => {
    writeFileSync(join(lab.folder, 'up.bin'), content)
    mkdirSync(join(lab.folder, 'there'))
  })

  test.each([
    ['scp in its own protocol', ['-O'], 'scp'],
    ['scp over sftp', ['-s'], 'sftp'],
  ] as const)('go up and come down with %s, and are recorded by name, size and hash', async (_what, flags, type) => {
    const there = join(lab.folder, 'there', 'copy.bin')
    const up = await runProgram('scp', [...flags, ...lab.flags, join(lab.folder, 'up.bin'), `${NODE}:${there}`])
    expect(up).toMatchObject({ code: 0, stderr: '' })
    expect(sha256(readFileSync(there))).toBe(sha256(content))
    await endOfSession()
    expect(lab.control.events.map((event) => event.type)).toEqual([type])
    const written = (await lab.recording()).filter((record) => record.kind === 'file' && record.operation === 'write')
    expect(written).toMatchObject([{ via: type, size: content.length, sha256: sha256(content), ok: true }])

    lab.control.ends.clear()
    const down = await runProgram('scp', [...flags, ...lab.flags, `${NODE}:${there}`, join(lab.folder, 'down.bin')])
    expect(down).toMatchObject({ code: 0, stderr: '' })
    expect(sha256(readFileSync(join(lab.folder, 'down.bin')))).toBe(sha256(content))
    await endOfSession()
    const read = (await lab.recording()).filter((record) => record.kind === 'file' && record.operation === 'read')
    expect(read).toMatchObject([{ via: type, size: content.length, sha256: sha256(content), ok: true }])
  })

  test('are listed by sftp', async () => {
    const done = await runProgram('sftp', ['-q', '-b', '-', ...lab.flags, NODE], `ls -1 ${lab.folder}/up.bin\n`)
    expect(done).toMatchObject({ code: 0 })
    expect(done.stdout).toContain(`${lab.folder}/up.bin`)
  })

  test('come by git, whose remote program is a command like any other', async () => {
    const bare = join(lab.folder, 'repo.git')
    await runProgram('git', ['init', '-q', '--bare', bare])
    const env = { ...process.env, GIT_SSH_COMMAND: ['ssh', ...lab.flags].join(' ') }
    const done = await runProgram('git', ['ls-remote', `${NODE}:${bare}`], '', env)
    expect(done).toMatchObject({ code: 0 })
    expect(lab.control.events).toEqual([
      expect.objectContaining({ type: 'exec', command: `git-upload-pack '${bare}'` }),
    ])
  })
})

describe('the connection', () => {
  test.each([
    ['download', 'head -c 20000000 /dev/zero', ''],
    ['upload', 'wc -c', 'x'.repeat(20_000_000)],
  ])('renews its keys on both sides in the middle of a %s', async (_what, command, input) => {
    const done = await lab.ssh(['-o', 'RekeyLimit=4M', NODE, command], input)
    expect(done.code).toBe(0)
    expect(input === '' ? done.bytes.length : done.stdout).toBe(input === '' ? 20_000_000 : '20000000\n')
  })

  test('answers keepalives while nothing else happens', async () => {
    const args = ['-o', 'ServerAliveInterval=1', '-o', 'ServerAliveCountMax=1', NODE, 'sleep 4; echo alive']
    expect(await lab.ssh(args)).toMatchObject({ code: 0, stdout: 'alive\n' })
  })

  test('carries several sessions of one client', async () => {
    const path = join(lab.folder, 'cm')
    const master = lab.start('ssh', ['-M', '-N', '-o', `ControlPath=${path}`, NODE])
    await eventually('the master is up', () => existsSync(path))
    const done = await Promise.all(
      [1, 2, 3, 4, 5].map((n) => lab.ssh(['-o', `ControlPath=${path}`, NODE, `echo ${n}; exit ${n}`])),
    )
    expect(done.map(({ code, stdout }) => [code, stdout])).toEqual([1, 2, 3, 4, 5].map((n) => [n, `${n}\n`]))
    expect(lab.control.asked.length).toBeGreaterThan(0)
    await lab.ssh(['-O', 'exit', '-o', `ControlPath=${path}`, NODE])
    await master.finished
    await endOfSession()
    expect(lab.control.ends.size).toBe(1)
  })

  test('carries six transfers at once, each whole, in spite of new keys and small windows', async () => {
    const path = join(lab.folder, 'cm6')
    const master = lab.start('ssh', ['-M', '-N', '-o', 'RekeyLimit=4M', '-o', `ControlPath=${path}`, NODE])
    await eventually('the master is up', () => existsSync(path))
    const command = 'f=$(mktemp); head -c 4000000 /dev/urandom >$f; sha256sum <$f >&2; cat $f; rm $f'
    const done = await Promise.all([1, 2, 3, 4, 5, 6].map(() => lab.ssh(['-o', `ControlPath=${path}`, NODE, command])))
    for (const { bytes, stderr } of done) expect(`${sha256(bytes)}  -\n`).toBe(stderr)
    await lab.ssh(['-O', 'exit', '-o', `ControlPath=${path}`, NODE])
    await master.finished
  })

  test('is refused to a client that does not know the way to the node', async () => {
    lab.control.change = { node: { port: 1 } }
    const done = await lab.ssh([NODE, 'id'])
    expect(done.code).toBe(255)
    expect(done.stderr).toContain('box cannot be reached')
    expect((await endOfSession())?.[0]).toMatchObject({ reason: 'upstream_unreachable' })
  })

  test('is refused when the host key of the node is another', async () => {
    lab.control.change = {
      node: { hostKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl' },
    }
    const done = await lab.ssh([NODE, 'id'])
    expect(done.stderr).toContain('the host key of box has changed')
    expect((await endOfSession())?.[0]).toMatchObject({ reason: 'host_key_changed' })
  })

  test('is refused when the target does not take the login', async () => {
    const done = await lab.ssh(['-l', `nosuchlogin+${NODE}`, NODE, 'id'])
    expect(done.stderr).toContain('box did not let nosuchlogin in')
    expect((await endOfSession())?.[0]).toMatchObject({ reason: 'upstream_refused' })
  })

  test('is refused when access ended while it was made', async () => {
    lab.control.onStartUse = () => Promise.resolve({ ok: false, text: 'revoked a moment ago' })
    const done = await lab.ssh([NODE, 'echo must not be seen'])
    lab.control.onStartUse = () => Promise.resolve({ ok: true })
    expect(done).toMatchObject({ code: 255, stdout: '' })
    expect(done.stderr).toContain('revoked a moment ago')
    expect((await endOfSession())?.[0]).toMatchObject({ reason: 'refused_before_use' })
  })

  test('is refused when it cannot be recorded', async () => {
    lab.control.change = {
      recording: { path: '/nowhere/x.rec', keyId: 'k', key: new Uint8Array(32), mode: 'strict', recordInput: false },
    }
    const done = await lab.ssh([NODE, 'echo must not be seen'])
    expect(done).toMatchObject({ code: 255, stdout: '' })
    expect(done.stderr).toContain('cannot be recorded')
    expect((await endOfSession())?.[0]).toMatchObject({ reason: 'recording_unavailable', head: null })
  })
})
