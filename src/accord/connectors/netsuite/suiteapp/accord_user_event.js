/**
 * Posts a change of a project task's milestone approval to Accord, signed; of time and expense reports that they changed.
 *
 * Deploy it as a user event (afterSubmit) on Project Task, and on Time and Expense Report where Accord reads them. Of those
 * it says only which record it was: Accord reads it again. Script parameters:
 *   custscript_accord_url     address of Accord's intake, https://accord.example/in/<connection>
 * API secret (Setup, Company, API Secrets), readable by this script and for that domain:
 *   custsecret_accord_push    the connection's push_secret, printed by `accord connect`
 *
 * Body:      {event_id, type: create|edit|delete, record, id, externalId, fields, at}
 * Signature: X-Accord-Signature: t=<epoch seconds>,v1=<hex HMAC-SHA256 of t + "." + body>
 *
 * A post that fails is not repeated here, so that saving a task never waits for Accord: the poll of
 * lastmodifieddate brings what was lost.
 *
 * @NApiVersion 2.1
 * @NScriptType UserEventScript
 * @NModuleScope SameAccount
 */
define(['N/crypto', 'N/encode', 'N/https', 'N/log', 'N/record', 'N/runtime'],
  (crypto, encode, https, log, record, runtime) => {
    const SECRET = 'custsecret_accord_push';
    const SENT = [
      'custevent_accord_milestone',
      'custevent_milestone_amount',
      'custevent_milestone_currency',
      'custevent_milestone_approved',
      'custevent_milestone_approved_on',
      'custevent_milestone_approved_by',
    ];
    const WATCHED = SENT.slice(3);
    const WORK = { timebill: 'timeBill', timeentry: 'timeEntry', expensereport: 'expenseReport' };
    const NAMES = { projecttask: 'projectTask', ...WORK };

    const pad = (number) => String(number).padStart(2, '0');

    /** Dates as days: a Date of NetSuite is midnight in the user's zone, so its local parts are the day that is meant. */
    const plain = (value) => {
      if (value instanceof Date) {
        return `${value.getFullYear()}-${pad(value.getMonth() + 1)}-${pad(value.getDate())}`;
      }
      return value === '' || value === undefined ? null : value;
    };

    const read = (task, name) => (task ? plain(task.getValue({ fieldId: name })) : null);

    /** A box that was never ticked and one that is empty are the same. */
    const differs = (before, after) => WATCHED.some((name) => (read(before, name) || null) !== (read(after, name) || null));

    /** Inline editing hands over only the edited fields: then the task is loaded. */
    const whole = (context) => {
      if (context.type !== context.UserEventType.XEDIT) {
        return context.newRecord;
      }
      return record.load({ type: context.newRecord.type, id: context.newRecord.id });
    };

    const fieldsOf = (task) => {
      const fields = {};
      SENT.forEach((name) => {
        const value = read(task, name);
        if (value !== null) {
          fields[name] = value;
        }
      });
      const modified = task.getValue({ fieldId: 'lastmodifieddate' });
      if (modified instanceof Date) {
        // Without it Accord reads the task again: the time of posting says nothing of the order of changes.
        fields.lastModifiedDate = `${modified.toISOString().slice(0, 19)}Z`;
      }
      return fields;
    };

    const sign = (stamp, body) => {
      const key = crypto.createSecretKey({ secret: SECRET, encoding: encode.Encoding.UTF_8 });
      const hmac = crypto.createHmac({ algorithm: crypto.HashAlg.SHA256, key });
      hmac.update({ input: `${stamp}.${body}`, inputEncoding: encode.Encoding.UTF_8 });
      return hmac.digest({ outputEncoding: encode.Encoding.HEX }).toLowerCase();
    };

    const post = (event) => {
      const url = runtime.getCurrentScript().getParameter({ name: 'custscript_accord_url' });
      const body = JSON.stringify(event);
      const stamp = Math.floor(Date.now() / 1000);
      const headers = {
        'Content-Type': 'application/json',
        'X-Accord-Signature': `t=${stamp},v1=${sign(stamp, body)}`,
      };
      const answer = https.post({ url, body, headers });
      if (answer.code < 200 || answer.code > 299) {
        throw new Error(`Accord answered ${answer.code}`);
      }
    };

    const afterSubmit = (context) => {
      const { CREATE, EDIT, XEDIT, DELETE } = context.UserEventType;
      if (![CREATE, EDIT, XEDIT, DELETE].includes(context.type)) {
        return;
      }
      try {
        const isGone = context.type === DELETE;
        const isWork = (context.newRecord || context.oldRecord).type in WORK;
        const task = isGone ? context.oldRecord : isWork ? context.newRecord : whole(context);
        if (!isWork && (!read(task, SENT[0]) || (!isGone && !differs(context.oldRecord, task)))) {
          return;
        }
        const type = { [CREATE]: 'create', [DELETE]: 'delete' }[context.type] || 'edit';
        const name = NAMES[task.type] || task.type;
        post({
          event_id: `${runtime.accountId}-${name}-${task.id}-${Date.now()}`,
          type,
          record: name,
          id: String(task.id),
          externalId: task.getValue({ fieldId: 'externalid' }) || null,
          fields: isWork ? {} : fieldsOf(task),
          at: new Date().toISOString(),
        });
      } catch (error) {
        log.error({ title: 'Accord was not told', details: error });
      }
    };

    return { afterSubmit };
  });
