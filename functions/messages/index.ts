import { messagesAck } from "./ack.ts";
import { messagesCancel } from "./cancel.ts";
import { messagesDeliver } from "./deliver.ts";
import { messagesExtend } from "./extend.ts";
import { messagesGet } from "./get.ts";
import { messagesList } from "./list.ts";
import { messagesNack } from "./nack.ts";
import { messagesPull } from "./pull.ts";
import { messagesRedrive } from "./redrive.ts";
import { messagesSend } from "./send.ts";
import { messagesSendBatch } from "./send-batch.ts";

/** Messages from the sender's hand to their end. */
export const messages = [
  messagesSend,
  messagesSendBatch,
  messagesGet,
  messagesList,
  messagesCancel,
  messagesPull,
  messagesAck,
  messagesNack,
  messagesExtend,
  messagesRedrive,
  messagesDeliver,
];
