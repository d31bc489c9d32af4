import ui from '@nuxt/ui/vue-plugin'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import { startClient } from './api/client'
import App from './App.vue'
import { createAppRouter } from './router'
import './style.css'
import { showColorMode } from './ui/colorMode'

// Takes the token out of the address before the router reads it.
startClient()
showColorMode('system')
createApp(App).use(createPinia()).use(createAppRouter()).use(ui).mount('#app')
